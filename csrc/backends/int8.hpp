// SPDX-License-Identifier: Apache-2.0
// How maps and weights of 8 bits stand for numbers. An element is a count of steps; a map has one
// step (its scale), zero is 0. Weights have one step for every output channel. What is stored is
// rounded to nearest, ties to even; what lies outside is the nearest that there is.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>

#include "backends/layout.hpp"

namespace pvnet {

constexpr float lowest_step(Dtype d) { return d == Dtype::uint8 ? 0.0f : -128.0f; }
constexpr float highest_step(Dtype d) { return d == Dtype::uint8 ? 255.0f : 127.0f; }

// Of x as a count of steps, inverse = 1 / step. A NaN is the lowest.
inline int step_of(float x, float inverse, float lowest, float highest) {
  float steps = x * inverse;
  steps = steps > lowest ? steps : lowest;
  steps = steps < highest ? steps : highest;
  return static_cast<int>(std::lrint(steps));
}

// Kernels of this many products cannot overflow 32 bits.
constexpr int64_t kMaxInt8Products = INT32_MAX / (255 * 127);

constexpr float kHighestWeight = 127.0f;

// Of the n weights of an output channel; 0: they are as good as 0.
inline float weight_scale(const float* weight, int64_t n) {
  float most = 0.0f;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(weight[i]));
  const float scale = most / kHighestWeight;
  return scale < FLT_MIN ? 0.0f : scale;
}
inline int8_t weight_step(float weight, float inverse) {
  return static_cast<int8_t>(step_of(weight, inverse, -kHighestWeight, kHighestWeight));
}
inline float inverse_of(float scale) { return scale == 0.0f ? 0.0f : 1.0f / scale; }

}  // namespace pvnet
