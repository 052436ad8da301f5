// SPDX-License-Identifier: Apache-2.0
// Activations. exp is ours, so that every device and the shim give the same bits.
#pragma once

#include "program.h"
#include "pv.cuh"

namespace pv {

// e^x within 2 units of the last place; NaN stays NaN. Cody and Waite's reduction to |r| <=
// ln(2)/2, then a polynomial, then the power of two in halves, so that results may be subnormal or
// infinite.
PV_DEVICE float exp_f32(float x) {
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  const float shifted = fma_f32(x, 1.44269502f, 12582912.0f);  // the integer in its low bits
  const float n = shifted - 12582912.0f;
  float r = fma_f32(n, -0.693359375f, x);
  r = fma_f32(n, 2.12194440e-4f, r);
  float poly = 1.98412698e-4f;
  poly = fma_f32(poly, r, 1.38888889e-3f);
  poly = fma_f32(poly, r, 8.33333333e-3f);
  poly = fma_f32(poly, r, 4.16666667e-2f);
  poly = fma_f32(poly, r, 1.66666667e-1f);
  poly = fma_f32(poly, r, 0.5f);
  poly = fma_f32(poly, r * r, r) + 1.0f;
  const int power = static_cast<int>(bits_of(shifted)) - 0x4b400000;
  const int half = power >> 1;
  const float first = float_of(static_cast<uint32_t>(half + 127) << 23);
  const float second = float_of(static_cast<uint32_t>(power - half + 127) << 23);
  return mul_f32(mul_f32(poly, first), second);
}

// As the reference backend: NaN stays NaN.
PV_DEVICE float activate(float x, int act, float a, float b) {
  if (act == PV_NONE) return x;
  if (act == PV_RELU) return x < 0.0f ? 0.0f : x;
  if (act == PV_CLAMP) return x < a ? a : x > b ? b : x;
  return (act == PV_SILU ? x : 1.0f) / (1.0f + exp_f32(-x));
}

}  // namespace pv
