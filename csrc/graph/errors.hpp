// SPDX-License-Identifier: Apache-2.0
// The one form of every message: `[where] what is wrong: got X, expected Y. Do Z.`
#pragma once

#include <string>
#include <string_view>

#include "graph/graph.hpp"
#include "graph/status.hpp"

namespace pvnet {

// cure: one or more whole sentences, e.g. "Give kernel=(1, 3, 3)."
inline Status failed(Code code, std::string_view where, std::string_view what, std::string_view got,
                     std::string_view expected, std::string_view cure) {
  std::string m;
  m.reserve(where.size() + what.size() + got.size() + expected.size() + cure.size() + 32);
  m.append("[").append(where).append("] ").append(what).append(": got ").append(got);
  m.append(", expected ").append(expected).append(". ").append(cure);
  return Status(code, std::move(m));
}

// A hostile name must neither flood a message nor fake lines of it.
inline std::string quoted(std::string_view s) {
  constexpr size_t kShown = 80;
  std::string q = "'";
  for (const char c : s.substr(0, kShown)) {
    q.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  }
  return q.append(s.size() > kShown ? "...'" : "'");
}

inline std::string text_of(const Shape& s) {
  std::string t = "[";
  t.append(std::to_string(s.c)).append(", ").append(std::to_string(s.h)).append(", ");
  return t.append(std::to_string(s.w)).append("]");
}

}  // namespace pvnet
