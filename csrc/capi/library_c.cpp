// SPDX-License-Identifier: Apache-2.0
// Version, status names and the last error of a thread.
#include <algorithm>
#include <type_traits>

#include "capi/handles.hpp"

static_assert(PVNET_OK == static_cast<int>(pvnet::Code::ok));
static_assert(PVNET_INVALID_ARGUMENT == static_cast<int>(pvnet::Code::invalid_argument));
static_assert(PVNET_GRAPH == static_cast<int>(pvnet::Code::graph));
static_assert(PVNET_FILE == static_cast<int>(pvnet::Code::file));
static_assert(PVNET_STATE == static_cast<int>(pvnet::Code::state));
static_assert(PVNET_UNSUPPORTED == static_cast<int>(pvnet::Code::unsupported));
static_assert(PVNET_INTERNAL == static_cast<int>(pvnet::Code::internal));
static_assert(PVNET_OUT_OF_MEMORY == static_cast<int>(pvnet::Code::out_of_memory));
// A frame is passed in arrays, so its layout can never grow.
static_assert(sizeof(pvnet_frame) == sizeof(void*) + 4 * 4 + 3 * 8 + (sizeof(void*) == 4 ? 4 : 0));
static_assert(std::is_trivially_copyable_v<pvnet_options> &&
              std::is_trivially_copyable_v<pvnet_plan_info> &&
              std::is_trivially_copyable_v<pvnet_value_info>);

namespace pvnet::capi {

// A plain array: needs no allocation, which may be what just failed, and no destructor at the end
// of a thread.
constexpr size_t kErrorBytes = 2048;
static thread_local char last_error[kErrorBytes] = "";

int report(Code code, std::string_view message) noexcept {
  const size_t n = std::min(message.size(), kErrorBytes - 1);
  std::memcpy(last_error, message.data(), n);
  last_error[n] = '\0';
  std::replace(last_error, last_error + n, '\0', '?');
  return static_cast<int>(code);
}

Status copy_text(const char* where, const std::string& source, char* text, size_t capacity_bytes,
                 size_t* needed_bytes) {
  const size_t needed = source.size() + 1;
  if (text == nullptr && capacity_bytes != 0) return need(where, "text", text);
  if (text != nullptr && capacity_bytes < needed) {
    if (needed_bytes != nullptr) *needed_bytes = needed;
    return refuse(where, "the buffer is too small", std::to_string(capacity_bytes) + " bytes",
                  "at least " + std::to_string(needed) + " bytes",
                  "Ask for the size with text = NULL and capacity_bytes = 0");
  }
  if (text != nullptr) std::memcpy(text, source.c_str(), needed);
  if (needed_bytes != nullptr) *needed_bytes = needed;
  return {};
}

}  // namespace pvnet::capi

extern "C" {

int pvnet_api_version(void) { return PVNET_API_VERSION; }

const char* pvnet_version(void) { return PVNET_VERSION; }

const char* pvnet_status_name(int status) {
  static constexpr const char* kNames[] = {
      "ok",    "invalid_argument", "graph",    "file",
      "state", "unsupported",      "internal", "out_of_memory"};
  constexpr int kCount = sizeof(kNames) / sizeof(kNames[0]);
  return status >= 0 && status < kCount ? kNames[status] : "unknown";
}

const char* pvnet_last_error(void) { return pvnet::capi::last_error; }

}  // extern "C"
