// SPDX-License-Identifier: Apache-2.0
// Mean over pixels and taps. A missing firing adds 0 and is counted.
//
// Order of additions, whatever the tile: thread part k of 32 adds pixels k, k + 32, ... of the
// taps, oldest first; then the parts of a warp are added as a tree, then the warps in order.
#pragma once

#include "../group.cuh"

namespace pv {

enum {
  kPoolGroups = 4,                        // of channels, side by side in a warp
  kPoolChannels = kPoolGroups * kGroup,   // of a block at once
  kPoolParts = PV_THREADS / kPoolGroups,  // threads that share the pixels of a channel
  kPoolWarps = PV_THREADS / 32
};

template <class T>
PV_DEVICE Group add_pixels(const Tile<T>& t, const pv_piece& piece, int c, int n, int part) {
  const int pixels = n > 0 ? t.op.in_h * t.op.in_w : 0;
  Group sum = filled(0.0f);
#pragma unroll 1
  for (int tap = 0; tap < piece.n_sources; ++tap) {
    const View<T> view = t.read(piece.source0 + tap);
    if (view.data == nullptr) continue;
#pragma unroll 1
    for (int i = part; i < pixels; i += kPoolParts) {
      const int y = i / t.op.in_w;
      const Group a = load_at(view, y, i - y * t.op.in_w, c, n);
#pragma unroll
      for (int k = 0; k < kGroup; ++k) sum.v[k] += a.v[k];
    }
  }
  return sum;
}

template <class T>
PV_DEVICE void global_pool_piece(const Tile<T>& t, const pv_piece& piece, int lo, int hi) {
  PV_SHARED(float, sums, kPoolWarps* kPoolChannels);
  const int thread = threadIdx.x, warp = thread / 32, group = thread % kPoolGroups;
  const float count = static_cast<float>(piece.n_sources) * static_cast<float>(t.op.in_h) *
                      static_cast<float>(t.op.in_w);
#pragma unroll 1
  for (int c = lo; c < hi; c += kPoolChannels) {
    const int mine = c + group * kGroup;
    Group g =
        add_pixels(t, piece, mine - piece.c0, lesser(hi - mine, kGroup), thread / kPoolGroups);
#pragma unroll 1
    for (int step = kPoolGroups; step < 32; step *= 2) {
#pragma unroll
      for (int k = 0; k < kGroup; ++k) g.v[k] += shuffle_xor(g.v[k], step);
    }
    if (thread % 32 < kPoolGroups) {
#pragma unroll
      for (int k = 0; k < kGroup; ++k) sums[warp * kPoolChannels + group * kGroup + k] = g.v[k];
    }
    sync();
    if (thread < lesser(kPoolChannels, hi - c)) {
      float sum = sums[thread];
#pragma unroll 1
      for (int k = 1; k < kPoolWarps; ++k) sum += sums[k * kPoolChannels + thread];
      store(t.out(0, 0, c + thread), sum / count);
    }
    sync();
  }
}

template <class T>
PV_DEVICE void global_pool_tile(const Tile<T>& t) {
#pragma unroll 1
  for (int i = 0; i < t.op.n_pieces; ++i) {
    const pv_piece piece = t.p.pieces[t.op.piece0 + i];
    global_pool_piece(t, piece, greater(t.c0, piece.c0), lesser(t.c1, piece.c0 + piece.channels));
  }
}

}  // namespace pv
