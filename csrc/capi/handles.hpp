// SPDX-License-Identifier: Apache-2.0
// What is behind the opaque handles of pvnet.h, and the border no exception crosses.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/call_mark.hpp"

#include <pvnet/pvnet.h>
#include <pvnet/model_file.hpp>
#include <pvnet/plan.hpp>
#include <pvnet/stream.hpp>

struct pvnet_model {
  pvnet::Model model;
};

struct pvnet_plan {
  std::shared_ptr<const pvnet::Plan> plan;
};

struct pvnet_stream {
  std::unique_ptr<pvnet::Stream> stream;
  std::vector<pvnet::FrameView> views;  // [inputs * batch], so that a tick allocates nothing
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

// Writes the members of *from that the caller knows; *to begins with its struct_size.
template <class T>
Status copy_known(const char* where, T from, T* to) {
  size_t known = 0;
  std::memcpy(&known, to, sizeof(known));
  if (known < sizeof(size_t) || known > 4096) {
    return refuse(where, "struct_size is not set", std::to_string(known),
                  "sizeof of the struct (" + std::to_string(sizeof(T)) + " here)",
                  "Set info.struct_size = sizeof(info) before the call");
  }
  from.struct_size = known;
  std::memcpy(static_cast<void*>(to), &from, known < sizeof(T) ? known : sizeof(T));
  return {};
}

}  // namespace pvnet::capi
