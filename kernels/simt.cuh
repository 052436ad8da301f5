// SPDX-License-Identifier: Apache-2.0
// Tiles whose outputs are made channel by channel: a thread has 8 channels of a pixel at once.
#pragma once

#include "activation.cuh"
#include "conv/depthwise.cuh"
#include "eltwise/eltwise.cuh"
#include "pool/pool.cuh"
#include "upsample/upsample.cuh"

namespace pv {

template <class T>
PV_DEVICE Group simt_group(const Tile<T>& t, const pv_piece& piece, const Place& at) {
  switch (t.op.kind) {
    case PV_POOL:
      return pool_group(t, piece, at);
    case PV_ELTWISE:
      return eltwise_group(t, piece, at);
    case PV_UPSAMPLE:
      return upsample_group(t, piece, at);
    default:
      return depthwise_group(t, piece, at);
  }
}

// Channels [lo, hi) of a piece, at every pixel of the tile.
template <class T>
PV_DEVICE void simt_piece(const Tile<T>& t, const pv_piece& piece, int lo, int hi) {
  if (lo >= hi) return;
  const int groups = (hi - lo + kGroup - 1) / kGroup, n = t.h * t.w * groups;
#pragma unroll 1
  for (int i = threadIdx.x; i < n; i += PV_THREADS) {
    const int pixel = i / groups, c = lo + i % groups * kGroup;
    const Place at = {t.y0 + pixel / t.w, t.x0 + pixel % t.w, c - piece.c0, lesser(hi - c, kGroup)};
    Group g = simt_group(t, piece, at);
    activate_group(g, t.op);
    store_group(t.out(at.y, at.x, c), g, at.n);
  }
}

template <class T>
PV_DEVICE void simt_tile(const Tile<T>& t) {
#pragma unroll 1
  for (int i = 0; i < t.op.n_pieces; ++i) {
    const pv_piece piece = t.p.pieces[t.op.piece0 + i];
    simt_piece(t, piece, greater(t.c0, piece.c0), lesser(t.c1, piece.c0 + piece.channels));
  }
}

}  // namespace pv
