// SPDX-License-Identifier: Apache-2.0
// The number formats of tensor cores, rounded as a device rounds.
#pragma once

#include <cstdint>
#include <cstring>

namespace pv {

struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};

inline uint32_t bits_of(float x) {
  uint32_t u;
  std::memcpy(&u, &x, sizeof(u));
  return u;
}
inline float float_of(uint32_t u) {
  float x;
  std::memcpy(&x, &u, sizeof(x));
  return x;
}

// To nearest, ties to even; NaN becomes the one that a device makes.
inline bf16 to_bf16(float x) {
  const uint32_t u = bits_of(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}
inline float to_float(bf16 x) { return float_of(static_cast<uint32_t>(x.bits) << 16); }

inline f16 to_f16(float x) {
  const uint32_t u = bits_of(x), magnitude = u & 0x7fffffffu, sign = u >> 16 & 0x8000u;
  if (magnitude > 0x7f800000u) return {0x7fff};
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};
  if (magnitude < 0x38800000u) {  // subnormal: the sum with 1/2 has its last bit where f16 has it
    const uint32_t rounded = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
    return {static_cast<uint16_t>(sign | rounded)};
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}
inline float to_float(f16 x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16, rest = x.bits & 0x7fffu;
  if (rest >= 0x7c00u) return float_of(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  if (rest >= 0x400u) return float_of(sign | ((rest << 13) + 0x38000000u));
  const float magnitude = static_cast<float>(rest) * float_of(0x33800000u);  // 2^-24
  return float_of(sign | bits_of(magnitude));
}

// cvt.rna.tf32.f32: to nearest, ties away from zero.
inline uint32_t round_tf32(uint32_t u) {
  if ((u & 0x7f800000u) == 0x7f800000u) return (u & 0x007fffffu) != 0 ? 0x7fffffffu : u;
  return (u + 0x1000u) & 0xffffe000u;
}

}  // namespace pv
