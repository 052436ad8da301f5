// SPDX-License-Identifier: Apache-2.0
// Causal convolution of any shape, groups and depthwise, too, one thread an output: bias, then taps
// oldest first, then ky, kx, then channels, as the reference backend.
#pragma once

#include "../activation.cuh"
#include "../tile.cuh"

namespace pv {

// An output: its pixel, its channel, and the piece of the operand that has the same channel.
struct Output {
  int y, x, c;
  pv_piece piece;
};

template <class T>
PV_DEVICE float read_or_zero(const View<T>& view, int y, int x, int c) {
  return view.data == nullptr ? 0.0f : load(view.at(y, x) + c);
}

// Calls f(tap, ky, kx, y, x) for the places of a window that lie inside the map.
template <class T, class F>
PV_DEVICE void for_window(const Tile<T>& t, const Output& out, F&& f) {
  const pv_op& op = t.op;
#pragma unroll 1
  for (int tap = 0; tap < op.kt; ++tap) {
#pragma unroll 1
    for (int ky = 0; ky < op.kh; ++ky) {
#pragma unroll 1
      for (int kx = 0; kx < op.kw; ++kx) {
        const int y = t.first_y(out.y) + ky * op.dh, x = t.first_x(out.x) + kx * op.dw;
        if (t.inside(y, x)) f(tap, ky, kx, y, x);
      }
    }
  }
}

// A convolution reads all pieces; the others the one that has the channel.
template <class T>
PV_DEVICE pv_piece piece_of(const Tile<T>& t, int c) {
  pv_piece piece = t.p.pieces[t.op.piece0];
#pragma unroll 1
  for (int i = 1; i < t.op.n_pieces && c >= piece.c0 + piece.channels; ++i) {
    piece = t.p.pieces[t.op.piece0 + i];
  }
  return piece;
}

// Stores what f(output) says of every output of the tile.
template <class T, class F>
PV_DEVICE void for_outputs(const Tile<T>& t, F&& f) {
  const int channels = t.c1 - t.c0, n = t.h * t.w * channels;
#pragma unroll 1
  for (int i = threadIdx.x; i < n; i += PV_THREADS) {
    const int pixel = i / channels, c = t.c0 + i % channels;
    const Output out = {t.y0 + pixel / t.w, t.x0 + pixel % t.w, c, piece_of(t, c)};
    store(t.out(out.y, out.x, c), activate(f(out), t.op.act, t.op.act_a, t.op.act_b));
  }
}

// Weight of input channel i (of its group) for output channel c at a place of the window.
template <class T>
PV_DEVICE float plain_weight(const Tile<T>& t, int c, int i, int tap, int ky, int kx) {
  const pv_op& op = t.op;
  const char* start = static_cast<const char*>(t.p.weights) + op.weights * 16;
  const int64_t place = (static_cast<int64_t>(tap) * op.kh + ky) * op.kw + kx;
  if (op.kind == PV_DEPTHWISE) {
    return load(reinterpret_cast<const float*>(start) + place * ((op.out_c + 7) / 8 * 8) + c);
  }
  const int64_t row = static_cast<int64_t>(c) * (op.in_c / op.groups) + i;
  return load(reinterpret_cast<const T*>(start) + row * op.kt * op.kh * op.kw + place);
}

template <class T>
PV_DEVICE float plain_conv(const Tile<T>& t, const Output& out) {
  const pv_op& op = t.op;
  const int groups = op.kind == PV_DEPTHWISE ? op.out_c : op.groups;
  const int per_group = op.in_c / groups;
  const int lo = out.c / (op.out_c / groups) * per_group, hi = lo + per_group;
  float sum = load(t.p.floats + op.floats + out.c);
  for_window(t, out, [&](int tap, int ky, int kx, int y, int x) {
#pragma unroll 1
    for (int i = 0; i < op.n_pieces; ++i) {
      const pv_piece piece = t.p.pieces[op.piece0 + i];
      const int end = lesser(hi, piece.c0 + piece.channels);
      const View<T> view = t.read(piece.source0 + tap);
      if (view.data == nullptr) continue;
#pragma unroll 1
      for (int c = greater(lo, piece.c0); c < end; ++c) {
        sum = fma_f32(load(view.at(y, x) + (c - piece.c0)),
                      plain_weight(t, out.c, c - lo, tap, ky, kx), sum);
      }
    }
  });
  return sum;
}

template <class T>
PV_DEVICE void plain_conv_tile(const Tile<T>& t) {
  for_outputs(t, [&](const Output& out) { return plain_conv(t, out); });
}

}  // namespace pv
