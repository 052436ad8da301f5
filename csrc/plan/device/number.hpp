// SPDX-License-Identifier: Apache-2.0
// Numbers as a device stores them: to nearest, ties to even; tf32: ties away from zero, as the
// device's own conversion.
#pragma once

#include <bit>
#include <cstdint>

#include "backends/element.hpp"

#include "kernels/program.h"

namespace pvnet::device {

constexpr uint16_t f16_of(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  const uint32_t sign = (u >> 16) & 0x8000u, exponent = (u >> 23) & 0xffu;
  if (exponent < 102) return static_cast<uint16_t>(sign);  // below half of the least
  // Of f16: 1 + 10 bits from exponent 113 on, fewer below it, where exponents are all the same.
  const uint32_t whole = (u & 0x7fffffu) | 0x800000u;
  const uint32_t drop = exponent < 113 ? 126 - exponent : 13;
  const uint32_t half = uint32_t{1} << (drop - 1), odd = (whole >> drop) & 1u;
  const uint32_t kept = (whole + half - 1 + odd) >> drop;
  const uint32_t bits = exponent < 113 ? kept : kept + ((exponent - 113) << 10);
  return static_cast<uint16_t>(sign | (bits < 0x7c00u ? bits : 0x7c00u));
}

constexpr uint32_t tf32_of(float x) { return (std::bit_cast<uint32_t>(x) + 0x1000u) & 0xffffe000u; }

// A finite number as it is stored: in weights of tensor cores, or (cores: false) of simple kernels.
constexpr uint32_t stored(float x, pv_dtype dtype, bool cores) {
  switch (dtype) {
    case PV_F16:
      return f16_of(x);
    case PV_BF16:
      return bf16_bits(x);
    case PV_TF32:
      return cores ? tf32_of(x) : std::bit_cast<uint32_t>(x);
    default:
      return std::bit_cast<uint32_t>(x);
  }
}

// False where rounding has made a finite number infinite.
constexpr bool is_finite(uint32_t bits, pv_dtype dtype) {
  const uint32_t exponent = dtype == PV_F16 ? 0x7c00u : dtype == PV_BF16 ? 0x7f80u : 0x7f800000u;
  return (bits & exponent) != exponent;
}

}  // namespace pvnet::device
