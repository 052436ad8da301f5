// SPDX-License-Identifier: Apache-2.0
// Copy, add and multiply with broadcasting, then an activation. Operands are combined in order.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {
namespace {

float operand(const EltwiseArgs& a, int k, int y, int x, int c) {
  if (a.data[k] == nullptr) return 0.0f;
  const MapGeometry& g = a.g[k];
  const bool one_pixel = g.h == 1 && g.w == 1;
  const int channel = g.c == 1 ? 0 : a.c0[k] + c;
  return pixel(g, a.data[k], one_pixel ? 0 : y, one_pixel ? 0 : x)[channel];
}

}  // namespace

void eltwise(const EltwiseArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.out.g.w; ++x) {
      float* out = pixel(a.out, y, x) + a.out_c0;
      for (int c = 0; c < a.c; ++c) {
        float v = operand(a, 0, y, x, c);
        for (int k = 1; k < a.n; ++k) {
          const float other = operand(a, k, y, x, c);
          v = a.op == EltOp::mul ? v * other : v + other;
        }
        out[c] = activate(a.act, a.numbers, v);
      }
    }
  }
}

}  // namespace pvnet::ref
