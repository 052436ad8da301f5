// SPDX-License-Identifier: Apache-2.0
// Clock arithmetic of DESIGN's semantics, in one place: which firing a read sees.
#pragma once

#include <cstdint>

#include "graph/graph.hpp"

namespace pvnet {

// floor(a / b) for b > 0 (C++ division truncates).
constexpr int64_t floor_div(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return (a % b != 0 && a < 0) ? q - 1 : q;
}

constexpr bool is_due(const Clock& c, int64_t tick) {
  return tick >= c.origin && (tick - c.origin) % c.period == 0;
}

// Index of the latest firing at or before tick - delay; negative: nothing has fired, the value is
// 0.
constexpr int64_t firing_at(const Clock& c, int64_t tick, int64_t delay) {
  return floor_div(tick - delay - c.origin, c.period);
}

}  // namespace pvnet
