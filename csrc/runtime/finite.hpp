// SPDX-License-Identifier: Apache-2.0
// Whether memory holds NaN or infinity.
#pragma once

#include <cstdint>
#include <cstring>

#include "graph/graph.hpp"

namespace pvnet {

// Whether one of n elements, `step` elements apart, has all bits of its exponent set: NaN or
// infinite. Integers, and no way out of the loop: so the compiler makes vectors of it, where sums
// of floats would wait for each other.
template <class Bits>
bool any_not_finite(const char* at, int64_t n, Bits exponent, int64_t step = 1) {
  Bits found = 0;
  const auto look = [&](int64_t i) {
    Bits bits;
    std::memcpy(&bits, at + i * static_cast<int64_t>(sizeof(bits)), sizeof(bits));
    found = static_cast<Bits>(found | ((bits & exponent) == exponent ? 1 : 0));
  };
  if (step == 1) {
    for (int64_t i = 0; i < n; ++i) look(i);
  } else {
    for (int64_t i = 0; i < n; ++i) look(i * step);
  }
  return found != 0;
}
inline bool any_not_finite(const float* at, int64_t n, int64_t step = 1) {
  return any_not_finite<uint32_t>(reinterpret_cast<const char*>(at), n, 0x7F800000U, step);
}
inline bool any_not_finite(Dtype dtype, const char* at, int64_t n) {
  if (is_8_bit(dtype)) return false;
  if (element_bytes(dtype) == 4) return any_not_finite<uint32_t>(at, n, 0x7F800000U);
  const uint16_t exponent = dtype == Dtype::f16 ? 0x7C00U : 0x7F80U;
  return any_not_finite<uint16_t>(at, n, exponent);
}

}  // namespace pvnet
