// SPDX-License-Identifier: Apache-2.0
// Failure messages of the model folder, and how text out of a file is shown in them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/status.hpp"

namespace pvnet::model {

// "[where] what: got got, expected expected. cure."
inline Status failure(Code code, std::string_view where, std::string_view what,
                      std::string_view got, std::string_view expected, std::string_view cure) {
  std::string m = "[";
  m.append(where).append("] ").append(what).append(": got ").append(got);
  m.append(", expected ").append(expected).append(". ").append(cure).append(".");
  return {code, std::move(m)};
}

// Text out of a file, in quotes: control characters become '?', long text is cut, so that a hostile
// name cannot fake lines of a log or fill it.
inline std::string quoted(std::string_view text) {
  constexpr size_t kLongest = 160;
  std::string s = "'";
  for (const char c : text.substr(0, kLongest)) {
    s += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? '?' : c;
  }
  return s + (text.size() > kLongest ? "...'" : "'");
}

inline std::string shape_text(const std::vector<int64_t>& shape) {
  constexpr size_t kLongest = 16;
  std::string s = "[";
  for (size_t i = 0; i < shape.size() && i < kLongest; ++i) {
    s += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return s + (shape.size() > kLongest ? ", ...]" : "]");
}

}  // namespace pvnet::model
