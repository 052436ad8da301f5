// SPDX-License-Identifier: Apache-2.0
// Softmax over the channels of every pixel, in place; the maximum is subtracted first, so that no
// finite input overflows. The sum runs over ascending channels.
#include <algorithm>
#include <cmath>

#include "backends/ref/ops.hpp"

namespace pvnet::ref {

void softmax(const SoftmaxArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.out.g.w; ++x) {
      float* v = pixel(a.out, y, x);
      const int n = a.out.g.c;
      const float max = *std::max_element(v, v + n);
      float sum = 0.0f;
      for (int c = 0; c < n; ++c) {
        v[c] = std::exp(v[c] - max);
        sum += v[c];
      }
      for (int c = 0; c < n; ++c) v[c] /= sum;
    }
  }
}

}  // namespace pvnet::ref
