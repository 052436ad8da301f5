// SPDX-License-Identifier: Apache-2.0
// Group norm and layer norm: mean, then variance around it, then the outputs.
//
// Order of additions, whatever the tile. Group norm: thread k of PV_THREADS adds elements k, k +
// PV_THREADS, ... of the group, channels fastest, then the threads in order. Layer norm: as
// softmax.
#pragma once

#include "../plain/plain_conv.cuh"
#include "softmax.cuh"

namespace pv {

// What a norm makes of a value of channel c.
template <class T>
PV_DEVICE float normed(const Tile<T>& t, float x, int c, float mean, float share) {
  const float* const weight = t.p.floats + t.op.floats;
  const float scaled = mul_f32(x - mean, share);
  const float y = fma_f32(scaled, load(weight + c), load(weight + t.op.out_c + c));
  return activate(y, t.op.act, t.op.act_a, t.op.act_b);
}

template <class T>
PV_DEVICE float deviation_share(const Tile<T>& t, float variance) {
  return 1.0f / sqrt_f32(variance + load(t.p.floats + t.op.floats + 2 * t.op.out_c));
}

// x - mean, or its square, of the thread's elements of channels [lo, lo + channels).
template <class T>
PV_DEVICE float add_elements(const Tile<T>& t, int lo, int channels, float mean, bool squares) {
  const uint32_t width = static_cast<uint32_t>(channels);
  const uint32_t n = width * static_cast<uint32_t>(t.op.in_h) * static_cast<uint32_t>(t.op.in_w);
  float sum = 0.0f;
#pragma unroll 1
  for (uint32_t i = threadIdx.x; i < n; i += PV_THREADS) {
    const int pixel = static_cast<int>(i / width), c = lo + static_cast<int>(i % width);
    const pv_piece piece = piece_of(t, c);
    const int y = pixel / t.op.in_w, x = pixel % t.op.in_w;
    const float d = read_or_zero(t.read(piece.source0), y, x, c - piece.c0) - mean;
    sum = squares ? fma_f32(d, d, sum) : sum + d;
  }
  return sum;
}

PV_DEVICE float add_threads(float mine) {
  PV_SHARED(float, parts, PV_THREADS);
  sync();
  parts[threadIdx.x] = mine;
  sync();
  float sum = 0.0f;
#pragma unroll 1
  for (int k = 0; k < PV_THREADS; ++k) sum += parts[k];
  return sum;
}

template <class T>
PV_DEVICE void group_norm_tile(const Tile<T>& t) {
  const int each = t.op.out_c / t.op.groups;
#pragma unroll 1
  for (int lo = t.c0 / each * each; lo < t.c1; lo += each) {
    const float count =
        static_cast<float>(each) * static_cast<float>(t.op.in_h) * static_cast<float>(t.op.in_w);
    float mean = 0.0f, variance = 0.0f;
#pragma unroll 1
    for (int pass = 0; pass < 2; ++pass) {
      const float moment = add_threads(add_elements(t, lo, each, mean, pass == 1)) / count;
      if (pass == 0) mean = moment;
      if (pass == 1) variance = moment;
    }
    const float share = deviation_share(t, variance);
    const int first = greater(t.c0, lo), channels = lesser(t.c1, lo + each) - first;
    const int n = t.h * t.w * channels;
#pragma unroll 1
    for (int i = threadIdx.x; i < n; i += PV_THREADS) {
      const int pixel = i / channels, c = first + i % channels;
      const int y = t.y0 + pixel / t.w, x = t.x0 + pixel % t.w;
      const pv_piece piece = piece_of(t, c);
      const float v = read_or_zero(t.read(piece.source0), y, x, c - piece.c0);
      store(t.out(y, x, c), normed(t, v, c, mean, share));
    }
  }
}

// A warp a pixel.
template <class T>
PV_DEVICE void layer_norm_pixel(const Tile<T>& t, int y, int x) {
  float mean = 0.0f, share = 0.0f;
  T* const out = t.out(y, x, 0);
#pragma unroll 1
  for (int pass = 0; pass < 3; ++pass) {
    float mine = 0.0f;
    for_lane_channels(t, y, x, [&](int c, float v) {
      if (pass == 2) {
        if (c >= t.c0 && c < t.c1) store(out + c, normed(t, v, c, mean, share));
      } else {
        const float d = v - mean;
        mine = pass == 1 ? fma_f32(d, d, mine) : mine + d;
      }
    });
#pragma unroll 1
    for (int step = 1; step < 32; step *= 2) mine += shuffle_xor(mine, step);
    const float moment = mine / static_cast<float>(t.op.out_c);
    if (pass == 0) mean = moment;
    if (pass == 1) share = deviation_share(t, moment);
  }
}

template <class T>
PV_DEVICE void layer_norm_tile(const Tile<T>& t) {
#pragma unroll 1
  for (int i = threadIdx.x / 32; i < t.h * t.w; i += PV_THREADS / 32) {
    layer_norm_pixel(t, t.y0 + i / t.w, t.x0 + i % t.w);
  }
}

}  // namespace pv
