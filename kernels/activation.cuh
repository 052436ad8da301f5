// SPDX-License-Identifier: Apache-2.0
// Activations. exp is ours, so that every device and the shim give the same bits.
#pragma once

#include "program.h"
#include "pv.cuh"

namespace pv {

// x = n ln(2) + r, |r| <= ln(2)/2, by Cody and Waite, for x from -104 to 89; NaN stays in r.
struct Reduced {
  float r;
  int power;  // n
  PV_DEVICE explicit Reduced(float x) {
    const float shifted = fma_f32(x, 1.44269502f, 12582912.0f);  // the integer in its low bits
    const float n = shifted - 12582912.0f;
    r = fma_f32(n, -0.693359375f, x);
    r = fma_f32(n, 2.12194440e-4f, r);
    power = static_cast<int>(bits_of(shifted)) - 0x4b400000;
  }
};

// e^r - 1 for |r| <= ln(2)/2.
PV_DEVICE float expm1_poly(float r) {
  float poly = 1.98412698e-4f;
  poly = fma_f32(poly, r, 1.38888889e-3f);
  poly = fma_f32(poly, r, 8.33333333e-3f);
  poly = fma_f32(poly, r, 4.16666667e-2f);
  poly = fma_f32(poly, r, 1.66666667e-1f);
  poly = fma_f32(poly, r, 0.5f);
  return fma_f32(poly, r * r, r);
}

// e^x within 2 units of the last place; NaN stays NaN. The power of two comes in halves, so that
// results may be subnormal or infinite.
PV_DEVICE float exp_f32(float x) {
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  const Reduced y(x);
  const float poly = expm1_poly(y.r) + 1.0f;
  const int half = y.power >> 1;
  const float first = float_of(static_cast<uint32_t>(half + 127) << 23);
  const float second = float_of(static_cast<uint32_t>(y.power - half + 127) << 23);
  return mul_f32(mul_f32(poly, first), second);
}

// e^x - 1 for x <= 0, to the last bits near 0, too.
PV_DEVICE float expm1_negative(float x) {
  const Reduced y(x < -87.0f ? -87.0f : x);
  const float power = float_of(static_cast<uint32_t>(y.power + 127) << 23);
  return fma_f32(expm1_poly(y.r), power, power - 1.0f);
}

// log(1 + u) for u from 0 to 1 as 2 atanh(u / (2 + u)): a series in squares up to 1/9.
PV_DEVICE float log1p_unit(float u) {
  const float s = u / (2.0f + u), z = s * s;
  float poly = 1.0f / 15.0f;
#pragma unroll 1
  for (int n = 13; n >= 3; n -= 2) poly = fma_f32(poly, z, 1.0f / static_cast<float>(n));
  return 2.0f * fma_f32(s * z, poly, s);
}

PV_DEVICE float abs_f32(float x) { return float_of(bits_of(x) & 0x7fffffffu); }

PV_DEVICE float tanh_f32(float x) {
  const float e = expm1_negative(-2.0f * abs_f32(x));
  return float_of(bits_of(-e / (e + 2.0f)) | (bits_of(x) & 0x80000000u));
}

// x * Phi(x), where Phi(-|x|) = erfc(t) / 2, t = |x| / sqrt(2), and log(erfc(t)) = t * p(t): p fits
// t from 0 to 5. Beyond, the tail is taken for 0.
PV_DEVICE float gelu_f32(float x) {
  const float t = abs_f32(x) * 0.70710678f;
  float p = -6.84842007e-07f;
  p = fma_f32(p, t, 1.40995435e-05f);
  p = fma_f32(p, t, -0.000124788945f);
  p = fma_f32(p, t, 0.000605591747f);
  p = fma_f32(p, t, -0.00154847151f);
  p = fma_f32(p, t, -2.65770286e-05f);
  p = fma_f32(p, t, 0.0193010867f);
  p = fma_f32(p, t, -0.10283754f);
  p = fma_f32(p, t, -0.636608422f);
  p = fma_f32(p, t, -1.12837982f);
  const float tail = t > 5.0f ? 0.0f : 0.5f * exp_f32(t * p);
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

// tanh(log(1 + e)) = n / (n + 2), n = e (e + 2), e = exp(x): 1 from x = 20 on.
PV_DEVICE float mish_f32(float x) {
  const float e = exp_f32(x > 20.0f ? 20.0f : x);
  const float n = e * (e + 2.0f);
  return x * (n / (n + 2.0f));
}

PV_DEVICE float hard_sigmoid_f32(float x) {
  const float y = x + 3.0f;
  return (y < 0.0f ? 0.0f : y > 6.0f ? 6.0f : y) * (1.0f / 6.0f);
}

PV_DEVICE float sigmoid_f32(float x) { return 1.0f / (1.0f + exp_f32(-x)); }

PV_DEVICE float activate_rarely(float x, int act, float a) {
  switch (act) {
    case PV_LEAKY_RELU:
      return x > 0.0f ? x : x * a;
    case PV_ELU:
      return x > 0.0f ? x : a * expm1_negative(x);
    case PV_HARD_SIGMOID:
      return hard_sigmoid_f32(x);
    case PV_HARD_SWISH:
      return x * hard_sigmoid_f32(x);
    case PV_GELU:
      return gelu_f32(x);
    case PV_GELU_TANH:
      return x * sigmoid_f32(2.0f * 0.79788456f * fma_f32(0.044715f, x * x * x, x));
    case PV_TANH:
      return tanh_f32(x);
    case PV_SOFTPLUS:
      return (x > 0.0f ? x : 0.0f) + log1p_unit(exp_f32(-abs_f32(x)));
    default:
      return mish_f32(x);
  }
}

// As the reference backend: NaN stays NaN. A function that is called, for its code is large.
PV_CALLED float activate(float x, int act, float a, float b) {
  if (act == PV_NONE) return x;
  if (act == PV_RELU) return x < 0.0f ? 0.0f : x;
  if (act == PV_CLAMP) return x < a ? a : x > b ? b : x;
  if (act > PV_CLAMP) return activate_rarely(x, act, a);
  return (act == PV_SILU ? x : 1.0f) / (1.0f + exp_f32(-x));
}

}  // namespace pv
