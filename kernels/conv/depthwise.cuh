// SPDX-License-Identifier: Apache-2.0
// Causal convolution of every channel by itself: bias, then taps oldest first, then ky, kx. The
// normalisation of inputs is one, too: a window of one pixel, whose weights are the scales.
#pragma once

#include "../group.cuh"

namespace pv {

struct ChannelWindow {
  int kt, kh, kw;
  const float* weights;  // [kt][kh][kw][`channels`]
  const float* bias;
  int channels;
};

template <class T>
PV_DEVICE ChannelWindow channel_window(const Tile<T>& t) {
  const pv_op& op = t.op;
  const float* floats = t.p.floats + op.floats;
  if (op.kind == PV_NORMALIZE) return {1, 1, 1, floats, floats + op.out_c, op.out_c};
  const char* weights = static_cast<const char*>(t.p.weights) + op.weights * 16;
  return {
      op.kt, op.kh, op.kw, reinterpret_cast<const float*>(weights), floats, (op.out_c + 7) / 8 * 8};
}

// A weight of each channel for what is below 0.
template <class T>
PV_DEVICE Group prelu_group(const Tile<T>& t, const pv_piece& piece, const Place& at) {
  Group g = load_at(t.read(piece.source0), at.y, at.x, at.c, at.n);
  const Group weight = load_group(t.p.floats + t.op.floats + piece.c0 + at.c, at.n);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) g.v[i] = g.v[i] > 0.0f ? g.v[i] : mul_f32(g.v[i], weight.v[i]);
  return g;
}

template <class T>
PV_DEVICE Group depthwise_group(const Tile<T>& t, const pv_piece& piece, const Place& at) {
  const pv_op& op = t.op;
  const bool window = op.kind == PV_DEPTHWISE;
  const ChannelWindow k = channel_window(t);
  const int c = piece.c0 + at.c;
  const float* weights = k.weights + c;
  Group g = load_group(k.bias + c, at.n);
#pragma unroll 1
  for (int tap = 0; tap < k.kt; ++tap) {
    const View<T> view = t.read(piece.source0 + tap);
#pragma unroll 1
    for (int ky = 0; ky < k.kh; ++ky) {
      const int y = window ? t.first_y(at.y) + ky * op.dh : at.y;
#pragma unroll 1
      for (int kx = 0; kx < k.kw; ++kx, weights += k.channels) {
        const int x = window ? t.first_x(at.x) + kx * op.dw : at.x;
        if (!t.inside(y, x) || view.data == nullptr) continue;
        const Group a = load_at(view, y, x, at.c, at.n);
        const Group weight = load_group(weights, at.n);
#pragma unroll
        for (int i = 0; i < kGroup; ++i) g.v[i] = fma_f32(a.v[i], weight.v[i], g.v[i]);
      }
    }
  }
  return g;
}

}  // namespace pv
