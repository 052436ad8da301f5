// SPDX-License-Identifier: Apache-2.0
// Every operation, every shape, one thread an output, nothing clever: what the fast kernels are
// compared with, and what runs where they do not. Sums are f32, in the order of the reference
// backend: taps oldest first, then ky, kx, then channels.
#pragma once

#include "../eltwise/eltwise.cuh"
#include "../upsample/lerp.cuh"
#include "plain_conv.cuh"

namespace pv {

template <class T>
PV_DEVICE float plain_pool(const Tile<T>& t, const Output& out) {
  const pv_op& op = t.op;
  float max = float_of(0xff800000u), sum = 0.0f;
  int inside = 0;
  for_window(t, out, [&](int tap, int, int, int y, int x) {
    const View<T> view = t.read(out.piece.source0 + tap);
    const float v = read_or_zero(view, y, x, out.c - out.piece.c0);
    if (v > max || v != v) max = v;
    sum += v;
    ++inside;
  });
  if (op.variant == PV_MAX) return max;
  return sum * (1.0f / static_cast<float>(op.variant == PV_MEAN ? op.kt * op.kh * op.kw : inside));
}

template <class T>
PV_DEVICE float plain_eltwise(const Tile<T>& t, const Output& out) {
  float result = 0.0f;
#pragma unroll 1
  for (int k = 0; k < out.piece.n_sources; ++k) {
    const pv_source& s = t.p.sources[out.piece.source0 + k];
    const pvnet_device_value& v = t.p.values[s.value];
    const bool one_pixel = v.h == 1 && v.w == 1;
    const float x = read_or_zero(t.read(out.piece.source0 + k), one_pixel ? 0 : out.y,
                                 one_pixel ? 0 : out.x, s.c_step * (out.c - out.piece.c0));
    result = k == 0 ? x : combined(t.op.variant, result, x);
  }
  return result;
}

template <class T>
PV_DEVICE float plain_upsample(const Tile<T>& t, const Output& out) {
  const pv_op& op = t.op;
  const View<T> view = t.read(out.piece.source0);
  const int c = out.c - out.piece.c0;
  const Lerp y(op.variant, out.y, op.in_h, op.out_h), x(op.variant, out.x, op.in_w, op.out_w);
  float sum = mul_f32(mul_f32(y.w_lo, x.w_lo), read_or_zero(view, y.lo, x.lo, c));
  if (op.variant == PV_NEAREST) return sum;
  sum = fma_f32(y.w_lo * x.w_hi, read_or_zero(view, y.lo, x.hi, c), sum);
  sum = fma_f32(y.w_hi * x.w_lo, read_or_zero(view, y.hi, x.lo, c), sum);
  return fma_f32(y.w_hi * x.w_hi, read_or_zero(view, y.hi, x.hi, c), sum);
}

template <class T>
PV_DEVICE float plain_global_pool(const Tile<T>& t, const Output& out) {
  const pv_op& op = t.op;
  float sum = 0.0f;
#pragma unroll 1
  for (int tap = 0; tap < out.piece.n_sources; ++tap) {
    const View<T> view = t.read(out.piece.source0 + tap);
#pragma unroll 1
    for (int y = 0; y < op.in_h; ++y) {
#pragma unroll 1
      for (int x = 0; x < op.in_w; ++x) sum += read_or_zero(view, y, x, out.c - out.piece.c0);
    }
  }
  return sum / (static_cast<float>(out.piece.n_sources) * static_cast<float>(op.in_h) *
                static_cast<float>(op.in_w));
}

template <class T>
PV_DEVICE float plain_normalize(const Tile<T>& t, const Output& out) {
  const float* scale = t.p.floats + t.op.floats;
  const float v = read_or_zero(t.read(out.piece.source0), out.y, out.x, out.c - out.piece.c0);
  if (t.op.variant == PV_PRELU) return v > 0.0f ? v : mul_f32(v, load(scale + out.c));
  return fma_f32(v, load(scale + out.c), load(scale + t.op.out_c + out.c));
}

// Calls f(value) for every channel of the pixel.
template <class T, class F>
PV_DEVICE void for_channels(const Tile<T>& t, const Output& out, F&& f) {
#pragma unroll 1
  for (int i = 0; i < t.op.n_pieces; ++i) {
    const pv_piece piece = t.p.pieces[t.op.piece0 + i];
    const View<T> view = t.read(piece.source0);
#pragma unroll 1
    for (int c = 0; c < piece.channels; ++c) f(read_or_zero(view, out.y, out.x, c));
  }
}

template <class T>
PV_DEVICE float plain_softmax(const Tile<T>& t, const Output& out) {
  float max = float_of(0xff800000u), sum = 0.0f;
  for_channels(t, out, [&](float v) { max = v > max ? v : max; });
  for_channels(t, out, [&](float v) { sum += exp_f32(v - max); });
  const View<T> view = t.read(out.piece.source0);
  return exp_f32(read_or_zero(view, out.y, out.x, out.c - out.piece.c0) - max) / sum;
}

template <class T>
PV_DEVICE float plain_output(const Tile<T>& t, const Output& out) {
  switch (t.op.kind) {
    case PV_POOL:
      return plain_pool(t, out);
    case PV_ELTWISE:
      return plain_eltwise(t, out);
    case PV_UPSAMPLE:
      return plain_upsample(t, out);
    case PV_GLOBAL_POOL:
      return plain_global_pool(t, out);
    case PV_NORMALIZE:
      return plain_normalize(t, out);
    case PV_SOFTMAX:
      return plain_softmax(t, out);
    default:
      return plain_conv(t, out);
  }
}

template <class T>
PV_DEVICE void plain_tile(const Tile<T>& t) {
  for_outputs(t, [&](const Output& out) { return plain_output(t, out); });
}

}  // namespace pv
