// SPDX-License-Identifier: Apache-2.0
// Padding, selection of channels, pixels to channels and back: every output value is a value of the
// input, or a constant.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {
namespace {

// Channel c of all segments taken together.
template <class T>
float value_at(const MoveArgs& a, int y, int x, int c) {
  int s = 0;
  for (; c >= a.segs[s].g.c; ++s) c -= a.segs[s].g.c;
  const float* data = a.segs[s].taps[0];
  return data == nullptr ? 0.0f : float{pixel<T>(a.segs[s].g, data, y, x)[c]};
}

// Where along a side of n a padded coordinate lies; -1: outside.
int padded(PadMode mode, int at, int n) {
  if (at >= 0 && at < n) return at;
  switch (mode) {
    case PadMode::zeros:
      return -1;
    case PadMode::reflect:
      return at < 0 ? -at : 2 * (n - 1) - at;
    case PadMode::replicate:
      break;
  }
  return at < 0 ? 0 : n - 1;
}

template <class T>
float moved(const MoveArgs& a, int y, int x, int c) {
  const int b = a.block;
  switch (a.op) {
    case MoveOp::pad: {
      const MapGeometry& g = a.segs[0].g;
      const int in_y = padded(a.mode, y - a.top, g.h), in_x = padded(a.mode, x - a.left, g.w);
      return in_y < 0 || in_x < 0 ? a.value : value_at<T>(a, in_y, in_x, c);
    }
    case MoveOp::select:
      return value_at<T>(a, y, x, a.index[c]);
    case MoveOp::depth_to_space:
      return value_at<T>(a, y / b, x / b, (c * b + y % b) * b + x % b);
    case MoveOp::space_to_depth:
      break;
  }
  return value_at<T>(a, y * b + c / b % b, x * b + c % b, c / (b * b));
}

}  // namespace

template <class T>
void move(const MoveArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.out.g.w; ++x) {
      for (int c = 0; c < a.out.g.c; ++c) pixel<T>(a.out, y, x)[c] = moved<T>(a, y, x, c);
    }
  }
}

template void move<float>(const MoveArgs&, int, int);
template void move<Bf16>(const MoveArgs&, int, int);
template void move<AnyElement>(const MoveArgs&, int, int);

}  // namespace pvnet::ref
