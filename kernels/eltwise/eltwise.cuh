// SPDX-License-Identifier: Apache-2.0
// Arithmetic of operands, in order. One channel may stand for all, and one pixel, too.
#pragma once

#include "../group.cuh"

namespace pv {

// A function that is called: few networks divide maps, and a division of 8 channels is long.
PV_CALLED float quotient(float a, float b) { return a / b; }

PV_DEVICE float combined(int variant, float a, float b) {
  if (variant == PV_MUL) return a * b;
  if (variant == PV_SUB) return a - b;
  return variant == PV_DIV ? quotient(a, b) : a + b;
}

template <class T>
PV_DEVICE Group eltwise_operand(const Tile<T>& t, int source, const Place& at) {
  const pv_source& s = t.p.sources[source];
  const pvnet_device_value& v = t.p.values[s.value];
  const bool one_pixel = v.h == 1 && v.w == 1;
  const int y = one_pixel ? 0 : at.y, x = one_pixel ? 0 : at.x;
  const View<T> view = t.read(source);
  if (s.c_step != 0) return load_at(view, y, x, at.c, at.n);
  return filled(view.data == nullptr ? 0.0f : load(view.at(y, x)));
}

template <class T>
PV_DEVICE Group eltwise_group(const Tile<T>& t, const pv_piece& piece, const Place& at) {
  Group g = filled(0.0f);
#pragma unroll 1
  for (int k = 0; k < piece.n_sources; ++k) {
    const Group a = eltwise_operand(t, piece.source0 + k, at);
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      g.v[i] = k == 0 ? a.v[i] : combined(t.op.variant, g.v[i], a.v[i]);
    }
  }
  return g;
}

}  // namespace pv
