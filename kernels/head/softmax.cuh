// SPDX-License-Identifier: Apache-2.0
// Softmax over the channels of a pixel: a warp a pixel, lane k has channels k, k + 32, ... of them
// all, whatever the tile. The maximum is subtracted first; a NaN or +Inf makes the pixel NaN.
#pragma once

#include "../activation.cuh"
#include "../tile.cuh"

namespace pv {

// f(channel, value) of the lane's channels, ascending.
template <class T, class F>
PV_DEVICE void for_lane_channels(const Tile<T>& t, int y, int x, F&& f) {
  const int lane = threadIdx.x % 32;
#pragma unroll 1
  for (int i = 0; i < t.op.n_pieces; ++i) {
    const pv_piece piece = t.p.pieces[t.op.piece0 + i];
    const View<T> view = t.read(piece.source0);
#pragma unroll 1
    for (int c = (lane - piece.c0) & 31; c < piece.channels; c += 32) {
      f(piece.c0 + c, view.data == nullptr ? 0.0f : load(view.at(y, x) + c));
    }
  }
}

// One body, run three times: the maximum, the sum, the quotients.
template <class T>
PV_DEVICE void softmax_pixel(const Tile<T>& t, int y, int x) {
  float max = float_of(0xff800000u), sum = 0.0f;
  T* const out = t.out(y, x, 0);
#pragma unroll 1
  for (int pass = 0; pass < 3; ++pass) {
    float mine = pass == 0 ? max : 0.0f;
    for_lane_channels(t, y, x, [&](int c, float v) {
      const float e = exp_f32(v - max);  // of no use in the first pass
      if (pass == 0) {
        mine = v > mine ? v : mine;
      } else if (pass == 1) {
        mine += e;
      } else if (c >= t.c0 && c < t.c1) {
        store(out + c, e / sum);
      }
    });
#pragma unroll 1
    for (int step = 1; step < 32; step *= 2) {
      const float other = shuffle_xor(mine, step);
      mine = pass == 0 ? (other > mine ? other : mine) : mine + other;
    }
    if (pass == 0) max = mine;
    if (pass == 1) sum = mine;
  }
}

template <class T>
PV_DEVICE void softmax_tile(const Tile<T>& t) {
#pragma unroll 1
  for (int i = threadIdx.x / 32; i < t.h * t.w; i += PV_THREADS / 32) {
    softmax_pixel(t, t.y0 + i / t.w, t.x0 + i % t.w);
  }
}

}  // namespace pv
