// SPDX-License-Identifier: Apache-2.0
// The first launch of a tick: finds what every read of every row arrives at, and writes the frames
// into the rings of the inputs. Any number of blocks, in any order: what one writes, none reads.
#pragma once

#include "../program.h"
#include "../pv.cuh"
#include "io.cuh"

namespace pv {

// Offset of the slot that the segment's own value is written to at a tick; -1: it is not due.
PV_DEVICE int64_t slot_to_write(const pv_program& p, int segment, int64_t tick) {
  const pvnet_device_segment& s = p.segments[segment];
  const pvnet_device_clock clock = s.hops[0].clock;
  const int64_t since = tick - clock.origin;
  if (since < 0 || since % clock.period != 0) return -1;
  return pvnet_device_slot(&p.values[s.value], since / clock.period);
}

PV_DEVICE int64_t slot_to_read(const pv_program& p, const pv_read& read, int64_t tick) {
  const pvnet_device_segment& s = p.segments[read.segment];
  const int64_t firing = pvnet_device_firing(&s, tick, read.taps_back);
  return firing < 0 ? -1 : pvnet_device_slot(&p.values[s.value], firing);
}

// `writes`: the row makes this tick.
PV_DEVICE void resolve(const pv_program& p, int row, int read, int64_t tick, bool writes) {
  const pv_read r = p.reads[read];
  int64_t slot = -1;
  if (r.taps_back != PV_WRITE) {
    slot = slot_to_read(p, r, tick);
  } else if (writes) {
    slot = slot_to_write(p, r.segment, tick);
  }
  p.slots[static_cast<int64_t>(row) * p.n_reads + read] = slot;
}

PV_DEVICE bool is_finite(float x) { return (bits_of(x) & 0x7f800000u) != 0x7f800000u; }

// A pixel of a frame; false where an element to be checked is not finite.
template <class T>
PV_DEVICE bool write_pixel(const pv_frame& frame, const float* scale, int y, int x, int channels,
                           T* to) {
  bool finite = true;
  if (frame.is_u8 != 0) {
    const uint8_t* from = static_cast<const uint8_t*>(frame.data) + y * frame.strides[0] +
                          static_cast<int64_t>(x) * channels;
#pragma unroll 1
    for (int c = 0; c < channels; ++c) {
      const float v = static_cast<float>(from[c]);
      store(to + c, fma_f32(v, load(scale + c), load(scale + channels + c)));
    }
    return true;
  }
  const float* from =
      static_cast<const float*>(frame.data) + y * frame.strides[1] + x * frame.strides[2];
#pragma unroll 1
  for (int c = 0; c < channels; ++c) {
    const float v = load(from + c * frame.strides[0]);
    finite = finite && is_finite(v);
    store(to + c, v);
  }
  return finite || frame.check == 0;
}

// The frame of an input for a row. `threads` threads share it.
template <class T>
PV_DEVICE bool write_frame(const pv_program& p, const pv_input& input, const pv_frame& frame,
                           int row, int thread, int threads) {
  const int64_t slot = slot_to_write(p, input.segment, p.ticks[row]);
  if (slot < 0) return true;
  const pvnet_device_value& v = p.values[input.value];
  T* const map = static_cast<T*>(p.memory) + row * p.row_elements + slot;
  bool finite = true;
#pragma unroll 1
  for (int i = thread; i < v.h * v.w; i += threads) {
    const int y = i / v.w, x = i - y * v.w;
    T* const to = map + y * v.row_stride + x * v.pixel_stride;
    if (!write_pixel(frame, p.floats + input.floats, y, x, v.c, to)) finite = false;
  }
  return finite;
}

template <class T>
PV_DEVICE void write_frames(const pv_program& p, const pv_request& request, pv_result* result,
                            int thread, int threads) {
#pragma unroll 1
  for (int i = 0; i < p.n_inputs * p.n_rows; ++i) {
    const int row = i % p.n_rows;
    if (request.frozen[row] != 0) continue;
    const pv_input input = p.inputs[i / p.n_rows];
    if (!write_frame<T>(p, input, request.frames[i], row, thread, threads)) {
      atomic_max(&result->found, kFoundFirst - i);
    }
  }
}

template <class T>
PV_DEVICE void begin_tick(const pv_program& p, const pv_call& call) {
  wait_previous_launch();
  const int thread = static_cast<int>(blockIdx.x) * PV_THREADS + static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(gridDim.x) * PV_THREADS;
  const int64_t now = p.turn->ticks;
  const int number = call.request < 0 ? static_cast<int>(now & 1) : call.request;
  const pv_request request = request_of(p, number);
#pragma unroll 1
  for (int i = thread; i < p.n_rows * p.n_reads; i += threads) {
    const int row = i / p.n_reads;
    const bool writes = call.back == 0 && request.frozen[row] == 0;
    resolve(p, row, i - row * p.n_reads, p.ticks[row] - call.back, writes);
  }
  if (call.back != 0) return;
  write_frames<T>(p, request, result_of(p, number), thread, threads);
  if (thread == 0) {
    p.turn->now = now;
    p.turn->before = p.turn->result;
    p.turn->result = number;
  }
}

}  // namespace pv
