// SPDX-License-Identifier: Apache-2.0
// Which pixels of the source an upsampled pixel is made of, along one side: f32, with the formulas
// of torch.nn.functional.interpolate, as the reference backend.
#pragma once

#include "../tile.cuh"

namespace pv {

PV_DEVICE float corner_scale(int in, int out) {
  return out == 1 ? 0.0f : static_cast<float>(in - 1) / static_cast<float>(out - 1);
}

struct Lerp {
  int lo, hi;
  float w_lo, w_hi;
  PV_DEVICE Lerp(int variant, int i, int in, int out) : lo(i), hi(i), w_lo(1.0f), w_hi(0.0f) {
    if (in == out) return;  // a neighbour of weight 0 would hand on its NaN
    const float scale = static_cast<float>(in) / static_cast<float>(out);
    if (variant == PV_NEAREST) {
      lo = hi = lesser(static_cast<int>(mul_f32(static_cast<float>(i), scale)), in - 1);
      return;
    }
    const float at = variant == PV_CORNERS ? mul_f32(corner_scale(in, out), static_cast<float>(i))
                                           : mul_f32(scale, static_cast<float>(i) + 0.5f) - 0.5f;
    const float from = at > 0.0f ? at : 0.0f;
    lo = lesser(static_cast<int>(from), in - 1);
    hi = lesser(lo + 1, in - 1);
    w_hi = from - static_cast<float>(lo);
    w_lo = 1.0f - w_hi;
  }
};

}  // namespace pv
