// SPDX-License-Identifier: Apache-2.0
// Up to 8 channels in registers. Aligned groups move 16 bytes at a time, others one by one; what is
// computed from them is the same code, so that the bits do not depend on where channels lie.
#pragma once

#include "activation.cuh"
#include "tile.cuh"

namespace pv {

struct Group {
  float v[kGroup];
};

PV_DEVICE Group filled(float x) {
  Group g;
#pragma unroll
  for (int i = 0; i < kGroup; ++i) g.v[i] = x;
  return g;
}

// n <= 8 channels; the others, and all of a firing that does not exist, are 0.
template <class T>
PV_DEVICE Group load_group(const T* from, int n) {
  Group g = filled(0.0f);
  if (from == nullptr) return g;
  if (n == kGroup && aligned16(from)) {
    load8(g.v, from);
    return g;
  }
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    if (i < n) g.v[i] = load(from + i);
  }
  return g;
}

template <class T>
PV_DEVICE void store_group(T* to, const Group& g, int n) {
  if (n == kGroup && aligned16(to)) {
    store8(to, g.v);
    return;
  }
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    if (i < n) store(to + i, g.v[i]);
  }
}

// In a circle, so that there is one copy of the code and no register has an index.
PV_DEVICE void activate_group(Group& g, const pv_op& op) {
  if (op.act == PV_NONE) return;
#pragma unroll 1
  for (int i = 0; i < kGroup; ++i) {
    const float first = activate(g.v[0], op.act, op.act_a, op.act_b);
#pragma unroll
    for (int k = 0; k + 1 < kGroup; ++k) g.v[k] = g.v[k + 1];
    g.v[kGroup - 1] = first;
  }
}

// Channels [c, c + n) of a piece, at one pixel of the output.
struct Place {
  int y, x;
  int c, n;
};

// a.at(y, x), or null where the firing does not exist.
template <class T>
PV_DEVICE Group load_at(const View<T>& view, int y, int x, int c, int n) {
  return load_group(view.data == nullptr ? nullptr : view.at(y, x) + c, n);
}

}  // namespace pv
