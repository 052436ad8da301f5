// SPDX-License-Identifier: Apache-2.0
// Maximum or mean over space and taps, taps oldest first, then ky, kx. A missing firing is the
// value 0; a pixel outside the map takes no part in a maximum. NaN stays NaN.
#pragma once

#include "../group.cuh"

namespace pv {

PV_DEVICE float max_or_nan(float best, float x) { return x > best || x != x ? x : best; }

template <class T>
PV_DEVICE Group pool_group(const Tile<T>& t, const pv_piece& piece, const Place& at) {
  const pv_op& op = t.op;
  const bool is_max = op.variant == PV_MAX;
  Group g = filled(is_max ? float_of(0xff800000u) : 0.0f);
  int inside = 0;
#pragma unroll 1
  for (int tap = 0; tap < op.kt; ++tap) {
    const View<T> view = t.read(piece.source0 + tap);
    inside = 0;
#pragma unroll 1
    for (int ky = 0; ky < op.kh; ++ky) {
      const int y = t.first_y(at.y) + ky * op.dh;
#pragma unroll 1
      for (int kx = 0; kx < op.kw; ++kx) {
        const int x = t.first_x(at.x) + kx * op.dw;
        if (!t.inside(y, x)) continue;
        const Group a = load_at(view, y, x, at.c, at.n);
        ++inside;
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          g.v[i] = is_max ? max_or_nan(g.v[i], a.v[i]) : g.v[i] + a.v[i];
        }
      }
    }
  }
  if (is_max) return g;
  const int count = op.kt * (op.variant == PV_MEAN ? op.kh * op.kw : inside);
  const float share = 1.0f / static_cast<float>(count);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) g.v[i] *= share;
  return g;
}

}  // namespace pv
