// SPDX-License-Identifier: Apache-2.0
// x * scale + shift per channel.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {

template <class T>
void affine(const AffineArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.out.g.w; ++x) {
      const auto out = pixel<T>(a.out, y, x) + a.out_c0;
      for (int c = 0; c < a.g.c; ++c) {
        const float v = a.data == nullptr ? 0.0f : float{pixel<T>(a.g, a.data, y, x)[c]};
        out[c] = v * a.scale[c] + a.shift[c];
      }
    }
  }
}

template void affine<float>(const AffineArgs&, int, int);
template void affine<Bf16>(const AffineArgs&, int, int);
template void affine<AnyElement>(const AffineArgs&, int, int);

}  // namespace pvnet::ref
