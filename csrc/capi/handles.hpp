// SPDX-License-Identifier: Apache-2.0
// What is behind the opaque handles of pvnet.h, and the border no exception crosses.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/call_mark.hpp"

#include <pvnet/pvnet.h>
#include "model/open_model.hpp"
#include "plan/plan.hpp"
#include "runtime/stream.hpp"

struct pvnet_model {
  pvnet::OpenModel model;
};

struct pvnet_plan {
  std::shared_ptr<const pvnet::Plan> plan;
};

struct pvnet_stream {
  std::unique_ptr<pvnet::StreamCore> stream;
  std::vector<pvnet::FrameView> views;  // [inputs * batch], so that a tick allocates nothing
  pvnet::DeviceResults device_results;  // of the last tick on a device
  std::string trace;                    // JSON of the last recording
  mutable pvnet::CallMark call;
};

namespace pvnet::capi {

// Keeps the message for pvnet_last_error(); gives the code.
int report(Code code, std::string_view message) noexcept;

inline Status refuse(std::string_view where, std::string_view what, std::string_view got,
                     std::string_view expected, std::string_view cure,
                     Code code = Code::invalid_argument) {
  std::string m = "[";
  m.append(where).append("] ").append(what).append(": got ").append(got);
  m.append(", expected ").append(expected).append(". ").append(cure).append(".");
  return {code, std::move(m)};
}

// Runs f() -> Status; whatever is thrown below ends here.
template <class F>
int guarded(F&& f) noexcept {
  try {
    const Status s = std::forward<F>(f)();
    return s.ok() ? PVNET_OK : report(s.code(), s.message());
  } catch (const std::bad_alloc&) {
    return report(Code::out_of_memory,
                  "[pvnet] memory ran out: got a failed allocation, expected enough memory. "
                  "Use a smaller model or batch.");
  } catch (...) {
    return report(Code::internal,
                  "[pvnet] an exception was thrown inside: got one, expected none. "
                  "Report this as a bug of pvnet.");
  }
}

// `what` is a parameter's name.
inline Status need(const char* where, const char* what, const void* pointer) {
  if (pointer != nullptr) return {};
  return refuse(where, std::string(what) + " is missing", "NULL", "a pointer",
                std::string("Pass a valid ") + what);
}

inline Status need_index(const char* where, const char* what, int index, size_t count) {
  if (index >= 0 && static_cast<size_t>(index) < count) return {};
  return refuse(where, std::string(what) + " is out of range", std::to_string(index),
                "0 <= " + std::string(what) + " < " + std::to_string(count),
                "Use pvnet_plan_get_info to know how many there are");
}

// The contract of the text functions in pvnet.h.
Status copy_text(const char* where, const std::string& source, char* text, size_t capacity_bytes,
                 size_t* needed_bytes);

// Where the members of a struct with a struct_size end. A caller compiled against an older pvnet.h
// has a struct that ends at one of them; any other size is a mistake, and would copy half a member.
template <class T>
struct MemberEnds;
#define PVNET_MEMBER_END(type, member) (offsetof(type, member) + sizeof(type::member))
template <>
struct MemberEnds<pvnet_options> {
  static constexpr size_t kEnds[] = {
      PVNET_MEMBER_END(pvnet_options, struct_size), PVNET_MEMBER_END(pvnet_options, backend),
      PVNET_MEMBER_END(pvnet_options, isa),         PVNET_MEMBER_END(pvnet_options, dtype),
      PVNET_MEMBER_END(pvnet_options, lanes),       PVNET_MEMBER_END(pvnet_options, batch),
      PVNET_MEMBER_END(pvnet_options, pin),         PVNET_MEMBER_END(pvnet_options, fixed_lanes),
      PVNET_MEMBER_END(pvnet_options, executor),    PVNET_MEMBER_END(pvnet_options, algorithm),
      PVNET_MEMBER_END(pvnet_options, memory)};
};
template <>
struct MemberEnds<pvnet_plan_info> {
  static constexpr size_t kEnds[] = {PVNET_MEMBER_END(pvnet_plan_info, struct_size),
                                     PVNET_MEMBER_END(pvnet_plan_info, backend),
                                     PVNET_MEMBER_END(pvnet_plan_info, isa),
                                     PVNET_MEMBER_END(pvnet_plan_info, dtype),
                                     PVNET_MEMBER_END(pvnet_plan_info, inputs),
                                     PVNET_MEMBER_END(pvnet_plan_info, outputs),
                                     PVNET_MEMBER_END(pvnet_plan_info, stages),
                                     PVNET_MEMBER_END(pvnet_plan_info, batch),
                                     PVNET_MEMBER_END(pvnet_plan_info, lanes),
                                     PVNET_MEMBER_END(pvnet_plan_info, reserved),
                                     PVNET_MEMBER_END(pvnet_plan_info, hyper_period_ticks),
                                     PVNET_MEMBER_END(pvnet_plan_info, weights_bytes),
                                     PVNET_MEMBER_END(pvnet_plan_info, state_bytes),
                                     PVNET_MEMBER_END(pvnet_plan_info, scratch_bytes)};
};
template <>
struct MemberEnds<pvnet_value_info> {
  static constexpr size_t kEnds[] = {PVNET_MEMBER_END(pvnet_value_info, struct_size),
                                     PVNET_MEMBER_END(pvnet_value_info, name),
                                     PVNET_MEMBER_END(pvnet_value_info, channels),
                                     PVNET_MEMBER_END(pvnet_value_info, height),
                                     PVNET_MEMBER_END(pvnet_value_info, width),
                                     PVNET_MEMBER_END(pvnet_value_info, reserved),
                                     PVNET_MEMBER_END(pvnet_value_info, information_latency_ticks),
                                     PVNET_MEMBER_END(pvnet_value_info, warm_up_ticks),
                                     PVNET_MEMBER_END(pvnet_value_info, receptive_field_frames)};
};
#undef PVNET_MEMBER_END

// Sizes beyond ours are those of a newer pvnet.h; 4096 is more than any will have.
template <class T>
Status check_struct_size(const char* where, const char* what, size_t size) {
  const auto& ends = MemberEnds<T>::kEnds;
  static_assert(ends[std::size(ends) - 1] == sizeof(T), "a member is missing in MemberEnds");
  if (size > sizeof(T) && size <= 4096) return {};
  if (std::find(std::begin(ends), std::end(ends), size) != std::end(ends)) return {};
  return refuse(where, std::string(what) + ".struct_size is no size of this struct",
                std::to_string(size), "its sizeof (" + std::to_string(sizeof(T)) + " here)",
                std::string("Set ") + what + ".struct_size = sizeof(" + what + ") before the call");
}

// Writes the members of *from that the caller knows; *to begins with its struct_size.
template <class T>
Status copy_known(const char* where, T from, T* to) {
  size_t known = 0;
  std::memcpy(&known, to, sizeof(known));
  PVNET_TRY(check_struct_size<T>(where, "info", known));
  from.struct_size = known;
  std::memcpy(static_cast<void*>(to), &from, std::min(known, sizeof(T)));
  return {};
}

}  // namespace pvnet::capi
