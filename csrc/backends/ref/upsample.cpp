// SPDX-License-Identifier: Apache-2.0
// Nearest and bilinear resizing. Source coordinates are computed in f32 with the formulas of
// torch.nn.functional.interpolate, so that both pick the same pixels.
#include <algorithm>
#include <cmath>

#include "backends/ref/ops.hpp"

namespace pvnet::ref {
namespace {

int nearest_source(int i, int in, int out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  return std::min(static_cast<int>(std::floor(static_cast<float>(i) * scale)), in - 1);
}

float centre_source(int i, int in, int out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  return std::max(0.0f, scale * (static_cast<float>(i) + 0.5f) - 0.5f);
}

float corner_source(int i, int in, int out) {
  if (out == 1) return 0.0f;
  const float scale = static_cast<float>(in - 1) / static_cast<float>(out - 1);
  return scale * static_cast<float>(i);
}

struct Lerp {
  int lo, hi;
  float w_lo, w_hi;
  Lerp(int i, int in, int out, bool corners) {
    if (in == out) {  // as torch: a neighbour of weight 0 would hand on its NaN
      lo = hi = i, w_lo = 1.0f, w_hi = 0.0f;
      return;
    }
    const float at = corners ? corner_source(i, in, out) : centre_source(i, in, out);
    lo = std::min(static_cast<int>(at), in - 1);
    hi = std::min(lo + 1, in - 1);
    w_hi = at - static_cast<float>(lo);
    w_lo = 1.0f - w_hi;
  }
};

}  // namespace

template <class T>
void upsample(const UpsampleArgs& a, int row_lo, int row_hi) {
  for (int oy = row_lo; oy < row_hi; ++oy) {
    for (int ox = 0; ox < a.out.g.w; ++ox) {
      const auto out = pixel<T>(a.out, oy, ox) + a.out_c0;
      if (a.data == nullptr) {
        for (int c = 0; c < a.g.c; ++c) out[c] = 0.0f;
      } else if (a.mode == Interp::nearest) {
        const int y = nearest_source(oy, a.g.h, a.out.g.h);
        const int x = nearest_source(ox, a.g.w, a.out.g.w);
        const auto in = pixel<T>(a.g, a.data, y, x);
        for (int c = 0; c < a.g.c; ++c) out[c] = float{in[c]};
      } else {
        const Lerp y(oy, a.g.h, a.out.g.h, a.align_corners);
        const Lerp x(ox, a.g.w, a.out.g.w, a.align_corners);
        const auto top_left = pixel<T>(a.g, a.data, y.lo, x.lo);
        const auto top_right = pixel<T>(a.g, a.data, y.lo, x.hi);
        const auto bottom_left = pixel<T>(a.g, a.data, y.hi, x.lo);
        const auto bottom_right = pixel<T>(a.g, a.data, y.hi, x.hi);
        for (int c = 0; c < a.g.c; ++c) {
          out[c] = y.w_lo * (x.w_lo * top_left[c] + x.w_hi * top_right[c]) +
                   y.w_hi * (x.w_lo * bottom_left[c] + x.w_hi * bottom_right[c]);
        }
      }
    }
  }
}

template void upsample<float>(const UpsampleArgs&, int, int);
template void upsample<Bf16>(const UpsampleArgs&, int, int);
template void upsample<AnyElement>(const UpsampleArgs&, int, int);

}  // namespace pvnet::ref
