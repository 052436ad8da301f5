// SPDX-License-Identifier: Apache-2.0
// From the sums of a convolution's tile to what it writes.
//
// Sums of a thread are [i][j][e]: those of the 16 x 8 blocks of mma.sync, of which a warp has 2
// x 4.
#pragma once

#include "../group.cuh"
#include "../program.h"
#include "../pv.cuh"
#include "shared_bytes.h"

namespace pv {

PV_DEVICE int tiles_of(int pixels, int tile) { return (pixels + tile - 1) / tile; }

// Number of the tile among all of its operation, rows included.
PV_DEVICE int tile_number(const pv_op& op, const pv_tile& tile) {
  const int across = tiles_of(op.out_w, op.tile_w);
  const int places = across * tiles_of(op.out_h, op.tile_h);
  return (tile.row * places + tile.y * across + tile.x) * tiles_of(op.out_c, PV_TILE_N) +
         tile.c_block;
}

// Hands the split's sums over. In the block that comes last: the sums of all splits, in the order
// of the splits, whoever came when. `shared`: an int of shared memory that nobody reads any more.
PV_DEVICE bool add_splits(const pv_program& p, const pv_op& op, const pv_tile& tile, int* shared,
                          float (&sums)[2][4][4]) {
  const int thread = static_cast<int>(threadIdx.x), number = tile_number(op, tile);
  float* const cells = p.partials + (op.partial0 + static_cast<int64_t>(number) * op.splits) *
                                        (PV_TILE_M * PV_TILE_N);
  float* const mine = cells + tile.split * (PV_TILE_M * PV_TILE_N) + thread;
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    store_shared_sum(mine + i * PV_THREADS, sums[i / 16][i / 4 % 4][i % 4]);
  }
  fence();
  sync();
  if (thread == 0) {
    int* const counter = p.counters + op.counter0 + number;
    *shared = atomic_add(counter, 1);
    if (*shared == op.splits - 1) *counter = 0;  // nobody counts any more
  }
  sync();
  if (*shared != op.splits - 1) return false;
  fence();
#pragma unroll
  for (int i = 0; i < 32; ++i) sums[i / 16][i / 4 % 4][i % 4] = 0.0f;
#pragma unroll 1
  for (int split = 0; split < op.splits; ++split) {
    const float* const theirs = cells + split * (PV_TILE_M * PV_TILE_N) + thread;
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      sums[i / 16][i / 4 % 4][i % 4] += load_shared_sum(theirs + i * PV_THREADS);
    }
  }
  return true;
}

// Where 8 channels of pixel m lie, of the tile's sums in shared memory: those of eight pixels are
// in different banks.
PV_DEVICE int staged_at(int m, int group) { return m * PV_TILE_N + ((group ^ (m & 7)) << 3); }

PV_DEVICE void stage_sums(const float (&sums)[2][4][4], float* staged) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int m = warp % 2 * 32 + i * 16 + half * 8 + lane / 4;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        store2_shared(staged + staged_at(m, warp / 2 * 4 + j) + lane % 4 * 2, sums[i][j][half * 2],
                      sums[i][j][half * 2 + 1]);
      }
    }
  }
}

// Adds the bias, activates, writes.
template <class T>
PV_DEVICE void store_sums(const pv_program& p, const pv_op& op, const pv_tile& tile,
                          const float* staged) {
  const pvnet_device_value& v = p.values[op.out_value];
  const int64_t slot = p.slots[static_cast<int64_t>(tile.row) * p.n_reads + op.write];
  T* const map = static_cast<T*>(p.memory) + tile.row * p.row_elements + slot + op.out_c0;
  const float* const bias = p.floats + op.floats;
  constexpr int groups = PV_TILE_N / static_cast<int>(kGroup);
#pragma unroll 1
  for (int i = threadIdx.x; i < op.tile_h * op.tile_w * groups; i += PV_THREADS) {
    const int m = i / groups, group = i % groups, down = m / op.tile_w;
    const int y = tile.y * op.tile_h + down, x = tile.x * op.tile_w + m - down * op.tile_w;
    const int c = tile.c_block * PV_TILE_N + group * kGroup, n = lesser(op.out_c - c, kGroup);
    if (n <= 0 || y >= op.out_h || x >= op.out_w) continue;
    Group g;
    load8_shared(g.v, staged + staged_at(m, group));
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      if (k < n) g.v[k] += bias[c + k];
    }
    activate_group(g, op);
    store_group(map + y * v.row_stride + x * v.pixel_stride + c, g, n);
  }
}

}  // namespace pv
