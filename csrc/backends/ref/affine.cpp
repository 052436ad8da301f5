// SPDX-License-Identifier: Apache-2.0
// x * scale + shift per channel.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {

void affine(const AffineArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.out.g.w; ++x) {
      float* out = pixel(a.out, y, x) + a.out_c0;
      for (int c = 0; c < a.g.c; ++c) {
        const float v = a.data == nullptr ? 0.0f : pixel(a.g, a.data, y, x)[c];
        out[c] = v * a.scale[c] + a.shift[c];
      }
    }
  }
}

}  // namespace pvnet::ref
