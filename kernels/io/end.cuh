// SPDX-License-Identifier: Apache-2.0
// The last launch of a tick: writes the outputs as the host gets them, and counts the tick. Any
// number of blocks, in any order: none reads what another one writes.
#pragma once

#include "../program.h"
#include "../pv.cuh"
#include "io.cuh"

namespace pv {

// Channels of one piece, from a map with channels last to [c][h][w]; zeros where nothing is yet.
template <class T>
PV_DEVICE void write_piece(const pv_program& p, const pv_output& output, const pv_piece& piece,
                           int row, float* to, int thread, int threads) {
  const pv_source source = p.sources[piece.source0];
  const pvnet_device_value& value = p.values[source.value];
  const int64_t slot = p.slots[static_cast<int64_t>(row) * p.n_reads + source.read];
  const T* const map = static_cast<const T*>(p.memory) + row * p.row_elements + slot + source.c0;
  const int pixels = output.h * output.w;
#pragma unroll 1
  for (int i = thread; i < piece.channels * pixels; i += threads) {
    const int c = i / pixels, pixel = i - c * pixels;
    const int y = pixel / output.w, x = pixel - y * output.w;
    const float v = slot < 0 ? 0.0f : load(map + y * value.row_stride + x * value.pixel_stride + c);
    store(to + static_cast<int64_t>(piece.c0) * pixels + i, v);
  }
}

template <class T>
PV_DEVICE void write_outputs(const pv_program& p, int row, float* to, int thread, int threads) {
#pragma unroll 1
  for (int i = 0; i < p.n_outputs; ++i) {
    const pv_output output = p.outputs[i];
#pragma unroll 1
    for (int k = 0; k < output.n_pieces; ++k) {
      write_piece<T>(p, output, p.pieces[output.piece0 + k], row, to + output.offset, thread,
                     threads);
    }
  }
}

PV_DEVICE void count_tick(const pv_program& p, const pv_request& request, int64_t now,
                          pv_result* result) {
#pragma unroll 1
  for (int row = 0; row < p.n_rows; ++row) {
    if (request.frozen[row] == 0) ++p.ticks[row];
  }
  p.turn->ticks = now + 1;
  result->not_finite = result->found == 0 ? 0 : kFoundFirst - result->found + 1;
  result->found = 0;
}

template <class T>
PV_DEVICE void end_tick(const pv_program& p, const pv_call& call) {
  wait_previous_launch();
  const int thread = static_cast<int>(blockIdx.x) * PV_THREADS + static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(gridDim.x) * PV_THREADS;
  const int number = p.turn->result, before = p.turn->before;
  const int64_t now = p.turn->now;
  if (call.back != 0) {
#pragma unroll 1
    for (int row = 0; row < p.n_rows; ++row) {
      if (call.only_row >= 0 && call.only_row != row) continue;
      write_outputs<T>(p, row, outputs_of(p, number, row), thread, threads);
    }
    return;
  }
  const pv_request request =
      request_of(p, call.request < 0 ? static_cast<int>(now & 1) : call.request);
#pragma unroll 1
  for (int row = 0; row < p.n_rows; ++row) {
    float* const to = outputs_of(p, number, row);
    if (request.frozen[row] == 0) {
      write_outputs<T>(p, row, to, thread, threads);
    } else if (before != number) {
      const float* const from = outputs_of(p, before, row);
#pragma unroll 1
      for (int64_t i = thread; i < p.row_floats; i += threads) store(to + i, load(from + i));
    }
  }
  if (thread == 0) count_tick(p, request, now, result_of(p, number));
}

}  // namespace pv
