// SPDX-License-Identifier: Apache-2.0
// Max and average pooling over space and taps. Order of additions: taps oldest first, then ky, kx.
// A missing firing is the value 0 in both; a pixel outside the map takes no part in a maximum.
#include <cmath>
#include <limits>

#include "backends/ref/ops.hpp"

namespace pvnet::ref {
namespace {

struct Window {  // what one output value is made of
  float max = -std::numeric_limits<float>::infinity();
  Sum sum;
  int inside = 0;  // pixels of one frame that lie in the map
};

template <class T>
Window look(const PoolArgs& a, int oy, int ox, int c) {
  Window window;
  for (int j = 0; j < a.kt; ++j) {
    window.inside = 0;
    for (int ky = 0; ky < a.kh; ++ky) {
      const int y = oy * a.sh - a.ph + ky * a.dh;
      if (y < 0 || y >= a.seg.g.h) continue;
      for (int kx = 0; kx < a.kw; ++kx) {
        const int x = ox * a.sw - a.pw + kx * a.dw;
        if (x < 0 || x >= a.seg.g.w) continue;
        const bool there = a.seg.taps[j] != nullptr;
        const float v = there ? float{pixel<T>(a.seg.g, a.seg.taps[j], y, x)[c]} : 0.0f;
        if (v > window.max || std::isnan(v)) window.max = v;
        if (there) window.sum.add(pixel<T>(a.seg.g, a.seg.taps[j], y, x)[c]);
        ++window.inside;
      }
    }
  }
  return window;
}

}  // namespace

template <class T>
void pool(const PoolArgs& a, int row_lo, int row_hi) {
  for (int oy = row_lo; oy < row_hi; ++oy) {
    for (int ox = 0; ox < a.out.g.w; ++ox) {
      const auto out = pixel<T>(a.out, oy, ox) + a.out_c0;
      for (int c = 0; c < a.seg.g.c; ++c) {
        const Window window = look<T>(a, oy, ox, c);
        const int count = a.kt * (a.count_include_pad ? a.kh * a.kw : window.inside);
        out[c] = a.is_max ? window.max : window.sum.value(a.seg.g) / static_cast<float>(count);
      }
    }
  }
}

template void pool<float>(const PoolArgs&, int, int);
template void pool<Bf16>(const PoolArgs&, int, int);
template void pool<AnyElement>(const PoolArgs&, int, int);

}  // namespace pvnet::ref
