// SPDX-License-Identifier: Apache-2.0
// Convolution over maps and weights of 8 bits. Sums of products are integers, so their order does
// not matter. An output is fma(sum, scale of the weights, bias), its activation, and stored as the
// map says. Weights come multiplied with the scale of the map that they are for.
#include <vector>

#include "backends/ref/ops.hpp"

namespace pvnet::ref {
namespace {

// packed: bias [out_c], scale [out_c], weights [out_c][kt][kh][kw][in_c / groups] of 8 bits.
struct Int8Layout {
  int64_t in_per_group, taps, each;
  explicit Int8Layout(const ConvShape& s)
      : in_per_group(s.in_c / s.groups),
        taps(int64_t{s.kt} * s.kh * s.kw),
        each(in_per_group * taps) {}
};

const int8_t* weights_of(const ConvShape& s, const float* packed) {
  return reinterpret_cast<const int8_t*>(packed + 2 * int64_t{s.out_c});
}

// Of the steps of n channels and their weights.
int32_t products(AnyPixel x, const int8_t* w, int n) {
  int32_t sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i].steps() * w[i];
  return sum;
}

// One pixel of temporal tap j, the channels of output channel o; w: its first weight.
int32_t pixel_products(const ConvArgs& a, int j, int y, int x, int c_lo, int c_hi,
                       const int8_t* w) {
  int32_t sum = 0;
  int c_seg = 0;
  for (int i = 0; i < a.shape->n_segs; ++i) {
    const SegmentView& seg = a.segs[i];
    const int lo = std::max(c_lo, c_seg), hi = std::min(c_hi, c_seg + a.shape->seg_c[i]);
    if (lo < hi && seg.taps[j] != nullptr) {
      const auto at = pixel<AnyElement>(seg.g, seg.taps[j], y, x) + (lo - c_seg);
      sum += products(at, w + (lo - c_lo), hi - lo);
    }
    c_seg += a.shape->seg_c[i];
  }
  return sum;
}

int32_t sum_of(const ConvArgs& a, const Int8Layout& layout, int oy, int ox, int o) {
  const ConvShape& s = *a.shape;
  const int c_lo = o / (s.out_c / s.groups) * static_cast<int>(layout.in_per_group);
  const int c_hi = c_lo + static_cast<int>(layout.in_per_group);
  const int8_t* w = weights_of(s, a.packed) + o * layout.each;
  int32_t sum = 0;
  for (int j = 0; j < s.kt; ++j) {
    for (int ky = 0; ky < s.kh; ++ky) {
      for (int kx = 0; kx < s.kw; ++kx, w += layout.in_per_group) {
        const int y = oy * s.sh - s.ph + ky * s.dh, x = ox * s.sw - s.pw + kx * s.dw;
        if (y < 0 || y >= s.in_h || x < 0 || x >= s.in_w) continue;
        sum += pixel_products(a, j, y, x, c_lo, c_hi, w);
      }
    }
  }
  return sum;
}

// What is added to the convolution's own result, and that as a map would hold it.
float with_residual(const ConvArgs& a, float y, int oy, int ox, int o) {
  const Stored& alone = a.shape->alone;
  if (is_8_bit(alone.dtype)) {
    const int steps =
        step_of(y, 1.0f / alone.scale, lowest_step(alone.dtype), highest_step(alone.dtype));
    y = static_cast<float>(steps) * alone.scale;
  }
  const ResidualView& r = a.residual;
  return y + (r.data == nullptr ? 0.0f : float{pixel<AnyElement>(r.g, r.data, oy, ox)[o]});
}

}  // namespace

size_t int8_packed_floats(const ConvShape& s) {
  const auto bytes = static_cast<size_t>(Int8Layout(s).each * s.out_c);
  return 2 * static_cast<size_t>(s.out_c) + (bytes + sizeof(float) - 1) / sizeof(float);
}

void int8_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  const Int8Layout layout(s);
  std::fill_n(packed, int8_packed_floats(s), 0.0f);
  auto* w = reinterpret_cast<int8_t*>(packed + 2 * int64_t{s.out_c});
  for (int o = 0; o < s.out_c; ++o, weight += layout.each) {
    const float scale = weight_scale(weight, layout.each), inverse = inverse_of(scale);
    packed[o] = bias[o];
    packed[s.out_c + o] = scale;
    for (int64_t tap = 0; tap < layout.taps; ++tap) {
      for (int64_t i = 0; i < layout.in_per_group; ++i) {
        *w++ = weight_step(weight[i * layout.taps + tap], inverse);
      }
    }
  }
}

void int8_conv(const ConvArgs& a, int lo, int hi) {
  const ConvShape& s = *a.shape;
  const Int8Layout layout(s);
  for (int oy = lo; oy < hi; ++oy) {
    for (int ox = 0; ox < s.out_w; ++ox) {
      const auto out = pixel<AnyElement>(a.out, oy, ox);
      for (int o = 0; o < s.out_c; ++o) {
        const auto sum = static_cast<float>(sum_of(a, layout, oy, ox, o));
        float y = std::fma(sum, a.packed[s.out_c + o], a.packed[o]);
        if (s.residual) y = with_residual(a, y, oy, ox, o);
        out[o] = activate(s.act, s.numbers, y);
      }
    }
  }
}

}  // namespace pvnet::ref
