// SPDX-License-Identifier: Apache-2.0
// Padding, pixels to channels and back: an output is an element of the input, or a constant.
#pragma once

#include "plain_conv.cuh"

namespace pv {

// Channel c of the operand, wherever its piece lies.
template <class T>
PV_DEVICE float operand_value(const Tile<T>& t, int y, int x, int c) {
  const pv_piece piece = piece_of(t, c);
  return read_or_zero(t.read(piece.source0), y, x, c - piece.c0);
}

// Where along a side of n a padded coordinate lies; -1: outside.
PV_DEVICE int padded(int variant, int at, int n) {
  if (at >= 0 && at < n) return at;
  if (variant == PV_PAD_ZEROS) return -1;
  if (variant == PV_PAD_REPLICATE) return at < 0 ? 0 : n - 1;
  return at < 0 ? -at : 2 * (n - 1) - at;
}

template <class T>
PV_DEVICE float plain_move(const Tile<T>& t, const Output& out) {
  const int b = t.op.sh;
  if (t.op.kind == PV_DEPTH_TO_SPACE) {
    const int c = (out.c * b + out.y % b) * b + out.x % b;
    return operand_value(t, out.y / b, out.x / b, c);
  }
  if (t.op.kind == PV_SPACE_TO_DEPTH) {
    return operand_value(t, out.y * b + out.c / b % b, out.x * b + out.c % b, out.c / (b * b));
  }
  const int y = padded(t.op.variant, out.y - t.op.ph, t.op.in_h);
  const int x = padded(t.op.variant, out.x - t.op.pw, t.op.in_w);
  if (y < 0 || x < 0) return load(t.p.floats + t.op.floats);
  return operand_value(t, y, x, out.c);
}

template <class T>
PV_DEVICE void move_tile(const Tile<T>& t) {
  for_outputs(t, [&](const Output& out) { return plain_move(t, out); });
}

}  // namespace pv
