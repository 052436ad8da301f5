// SPDX-License-Identifier: Apache-2.0
// Arithmetic of operands with broadcasting, in their order, then an activation.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {
namespace {

bool is_weight(EltOp op, int k) { return k > 0 && (op == EltOp::scale || op == EltOp::prelu); }

template <class T>
float operand(const EltwiseArgs& a, int k, int y, int x, int c) {
  if (a.data[k] == nullptr) return 0.0f;
  const MapGeometry& g = a.g[k];
  const bool one_pixel = g.h == 1 && g.w == 1;
  const int channel = g.c == 1 ? 0 : a.c0[k] + c;
  return pixel<T>(g, a.data[k], one_pixel ? 0 : y, one_pixel ? 0 : x)[channel];
}

float combine(EltOp op, int k, float v, float other) {
  switch (op) {
    case EltOp::mul:
      return v * other;
    case EltOp::sub:
      return v - other;
    case EltOp::div:
      return v / other;
    case EltOp::scale:
      return k == 1 ? v * other : v + other;
    case EltOp::prelu:
      return v > 0.0f ? v : v * other;
    default:
      return v + other;
  }
}

}  // namespace

template <class T>
void eltwise(const EltwiseArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.out.g.w; ++x) {
      const auto out = pixel<T>(a.out, y, x) + a.out_c0;
      for (int c = 0; c < a.c; ++c) {
        float v = operand<T>(a, 0, y, x, c);
        for (int k = 1; k < a.n; ++k) {
          const auto other = is_weight(a.op, k) ? operand<float> : operand<T>;
          v = combine(a.op, k, v, other(a, k, y, x, c));
        }
        out[c] = activate(a.act, a.numbers, v);
      }
    }
  }
}

template void eltwise<float>(const EltwiseArgs&, int, int);
template void eltwise<Bf16>(const EltwiseArgs&, int, int);
template void eltwise<AnyElement>(const EltwiseArgs&, int, int);

}  // namespace pvnet::ref
