// SPDX-License-Identifier: Apache-2.0
// The kernels of a tick: begin, end, and between them as many launches as the list has, of tiles or
// rare_tiles, or all of plain_tiles. Their parameters are (pv_program, pv_call), and blocks have
// PV_THREADS threads.
#pragma once

#include "conv/conv.cuh"
#include "head/global_pool.cuh"
#include "head/norm.cuh"
#include "head/softmax.cuh"
#include "io/begin.cuh"
#include "io/end.cuh"
#include "plain/plain.cuh"
#include "simt.cuh"

namespace pv {

// A tile of rare_tiles. Plain convolutions are those that the tensor cores cannot take.
template <class T>
PV_DEVICE void rare_tile(const Tile<T>& t) {
  switch (t.op.kind) {
    case PV_CONV:
      return plain_conv_tile(t);
    case PV_GLOBAL_POOL:
      return global_pool_tile(t);
    case PV_SOFTMAX:
      return softmax_tile(t);
    case PV_PAD:
    case PV_DEPTH_TO_SPACE:
    case PV_SPACE_TO_DEPTH:
      return move_tile(t);
    case PV_GROUP_NORM:
      return group_norm_tile(t);
    default:
      return layer_norm_tile(t);
  }
}

// The block's tile, in the trace.
PV_DEVICE void record_tile(const pv_program& p, const pv_tile& tile, int number, int64_t begin) {
  sync();
  if (threadIdx.x != 0) return;
  const int i = atomic_add(p.n_records, 1);
  if (i >= p.max_records) return;
  p.records[i] = {begin, global_time(), tile.op, tile.row, sm_id(), number};
}

template <class T>
PV_GLOBAL void PV_BOUNDS(PV_THREADS, 4) begin(pv_program p, pv_call call) {
  allow_next_launch();
  begin_tick<T>(p, call);
}

// Waits, and says whether the tile is to be made: not where its operation is not due or its row
// frozen. Every block waits, on every path: else its launch could end before the one that it
// depends on.
PV_DEVICE bool wait_and_ask(const pv_program& p, const pv_tile& tile) {
  wait_previous_launch();
  return p.slots[static_cast<int64_t>(tile.row) * p.n_reads + p.ops[tile.op].write] >= 0;
}

// Calls what makes the tile, and notes in a trace where and when. No lambda: NVRTC takes one that
// has a template for a function of the host.
struct Traced {
  const pv_program& p;
  const pv_tile& tile;
  int number;
  template <class F>
  PV_DEVICE void operator()(F&& make) const {
    const int64_t start = p.records == nullptr ? 0 : global_time();
    make();
    if (p.records != nullptr) record_tile(p, tile, number, start);
  }
};

template <pv_dtype D>
PV_GLOBAL void PV_BOUNDS(PV_THREADS, 4) tiles(pv_program p, pv_call call) {
  PV_SMEM(shared);
  allow_next_launch();
  const int number = call.first_tile + static_cast<int>(blockIdx.x);
  const pv_tile tile = p.tiles[number];
  const pv_op& op = p.ops[tile.op];
  if (op.kind == PV_CONV && op.plain == 0) {
    return conv_block<D>(p, tile, shared, Traced{p, tile, number});
  }
  if (!wait_and_ask(p, tile)) return;
  Traced{p, tile, number}([&] { simt_tile(Tile<storage<D>>(p, tile)); });
}

// Operations for which pv_is_rare() holds.
template <class T>
PV_GLOBAL void PV_BOUNDS(PV_THREADS, 4) rare_tiles(pv_program p, pv_call call) {
  allow_next_launch();
  const int number = call.first_tile + static_cast<int>(blockIdx.x);
  const pv_tile tile = p.tiles[number];
  if (!wait_and_ask(p, tile)) return;
  Traced{p, tile, number}([&] { rare_tile(Tile<T>(p, tile)); });
}

// All operations by the simple kernels, whatever pv_op.plain says.
template <class T>
PV_GLOBAL void PV_BOUNDS(PV_THREADS, 4) plain_tiles(pv_program p, pv_call call) {
  allow_next_launch();
  const int number = call.first_tile + static_cast<int>(blockIdx.x);
  const pv_tile tile = p.tiles[number];
  if (!wait_and_ask(p, tile)) return;
  Traced{p, tile, number}([&] { plain_tile(Tile<T>(p, tile)); });
}

template <class T>
PV_GLOBAL void PV_BOUNDS(PV_THREADS, 4) end(pv_program p, pv_call call) {
  allow_next_launch();
  end_tick<T>(p, call);
}

}  // namespace pv
