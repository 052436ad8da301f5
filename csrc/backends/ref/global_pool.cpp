// SPDX-License-Identifier: Apache-2.0
// Mean over space and the last `window` firings. Order of additions: taps oldest first, then rows,
// then columns; one division at the end. A missing firing adds 0 and is counted.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {

template <class T>
void global_pool(const GlobalPoolArgs& a) {
  const MapGeometry& g = a.seg.g;
  const float count = static_cast<float>(a.window) * static_cast<float>(g.h) * g.w;
  for (int c = 0; c < g.c; ++c) {
    Sum sum;
    for (int j = 0; j < a.window; ++j) {
      if (a.seg.taps[j] == nullptr) continue;
      for (int y = 0; y < g.h; ++y) {
        for (int x = 0; x < g.w; ++x) sum.add(pixel<T>(g, a.seg.taps[j], y, x)[c]);
      }
    }
    pixel<T>(a.out, 0, 0)[a.out_c0 + c] = sum.value(g) / count;
  }
}

template void global_pool<float>(const GlobalPoolArgs&);
template void global_pool<Bf16>(const GlobalPoolArgs&);
template void global_pool<AnyElement>(const GlobalPoolArgs&);

}  // namespace pvnet::ref
