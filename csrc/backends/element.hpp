// SPDX-License-Identifier: Apache-2.0
// An element of a map as a backend on the host stores it. Arithmetic is that of floats: an element
// is widened when it is read, and a result is rounded once, when it is stored.
#pragma once

#include <bit>
#include <cstdint>

#include "backends/layout.hpp"

namespace pvnet {

// To nearest, ties to even. A NaN stays one, whose quiet bit is set; from about 3.39e38 on a finite
// number becomes infinite.
constexpr uint16_t bf16_bits(float x) {
  const auto u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((u >> 16) | 0x40U);
  return static_cast<uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
}
constexpr float bf16_value(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

struct Bf16 {
  uint16_t bits = 0;

  Bf16() = default;
  constexpr Bf16(float x) : bits(bf16_bits(x)) {}
  constexpr operator float() const { return bf16_value(bits); }
};
static_assert(sizeof(Bf16) == 2);

// The float nearest to x that `dtype` stores.
inline float rounded_to(Dtype dtype, float x) { return dtype == Dtype::bf16 ? float{Bf16(x)} : x; }

}  // namespace pvnet
