// SPDX-License-Identifier: Apache-2.0
// Softmax over the channels of every pixel, in place; the maximum is subtracted first, so that no
// finite input overflows. The sum runs over ascending channels.
#include <algorithm>
#include <cmath>

#include "backends/ref/ops.hpp"

namespace pvnet::ref {

template <class T>
void softmax(const SoftmaxArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.out.g.w; ++x) {
      const auto v = pixel<T>(a.out, y, x);
      const int n = a.out.g.c;
      float max = v[0];
      for (int c = 1; c < n; ++c) max = std::max(max, float{v[c]});
      float sum = 0.0f;
      for (int c = 0; c < n; ++c) sum += std::exp(float{v[c]} - max);
      for (int c = 0; c < n; ++c) v[c] = std::exp(float{v[c]} - max) / sum;
    }
  }
}

template void softmax<float>(const SoftmaxArgs&, int, int);
template void softmax<Bf16>(const SoftmaxArgs&, int, int);
template void softmax<AnyElement>(const SoftmaxArgs&, int, int);

}  // namespace pvnet::ref
