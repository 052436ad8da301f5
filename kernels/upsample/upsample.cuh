// SPDX-License-Identifier: Apache-2.0
// Nearest and bilinear resizing: one pixel of the source, or four with weights.
#pragma once

#include "../group.cuh"
#include "lerp.cuh"

namespace pv {

template <class T>
PV_DEVICE Group upsample_group(const Tile<T>& t, const pv_piece& piece, const Place& at) {
  const View<T> view = t.read(piece.source0);
  const Lerp y(t.op.variant, at.y, t.op.in_h, t.op.out_h);
  const Lerp x(t.op.variant, at.x, t.op.in_w, t.op.out_w);
  Group g = filled(0.0f);
#pragma unroll 1
  for (int k = 0; k < (t.op.variant == PV_NEAREST ? 1 : 4); ++k) {
    const bool low = k >= 2, right = k % 2 != 0;
    const float weight = (low ? y.w_hi : y.w_lo) * (right ? x.w_hi : x.w_lo);
    const Group a = load_at(view, low ? y.hi : y.lo, right ? x.hi : x.lo, at.c, at.n);
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      g.v[i] = k == 0 ? mul_f32(weight, a.v[i]) : fma_f32(weight, a.v[i], g.v[i]);
    }
  }
  return g;
}

}  // namespace pv
