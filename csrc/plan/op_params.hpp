// SPDX-License-Identifier: Apache-2.0
// The constant part of every kernel call of a PlanOp, made once by compile().
#pragma once

#include <vector>

#include "backends/kernel_api.hpp"

namespace pvnet {

struct OpParams {
  Op op = Op::conv3d;
  Attrs attrs;
  ConvShape conv;                   // conv3d, linear; conv.seg_c points into seg_c
  std::vector<int> seg_c;           // channels of the segments of operand 0
  std::vector<float> scale, shift;  // normalize; input (uint8 frames)

  OpParams() = default;
  OpParams(const OpParams&) = delete;  // conv.seg_c points into this object
  OpParams& operator=(const OpParams&) = delete;
};

inline ActNumbers numbers_of(const Attrs& a) {
  if (a.act != Act::clamp) return {};
  return {static_cast<float>(a.act_low), static_cast<float>(a.act_high)};
}

inline bool is_virtual(Op op) {  // holds no memory: reads go through it
  return op == Op::concat || op == Op::delay || op == Op::feedback;
}

}  // namespace pvnet
