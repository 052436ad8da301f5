// SPDX-License-Identifier: Apache-2.0
// Causal convolution. Order of additions, per output value: bias, then temporal taps oldest first,
// then ky, kx, then input channels, all ascending; the split of the channels into segments does not
// show. Missing firings and pixels outside the map are left out (their value is 0); the halo is
// never read. One tile is one output row.
#include <algorithm>
#include <limits>

#include "backends/ref/ops.hpp"

namespace pvnet::ref {
namespace {

// Output channels of one block are accumulated side by side: contiguous in the packed weights, so
// that the compiler vectorises the innermost loop without changing the order of any sum.
constexpr int kBlock = 32;

// packed: [groups][kt][kh][kw][in_c / groups][out_c / groups], then bias [out_c]. Weights are
// floats that T stores without rounding.
struct Layout {
  int in_per_group, out_per_group;
  size_t spatial_taps, group_floats, bias_offset;
  explicit Layout(const ConvShape& s)
      : in_per_group(s.in_c / s.groups),
        out_per_group(s.out_c / s.groups),
        spatial_taps(static_cast<size_t>(s.kh) * s.kw),
        group_floats(spatial_taps * s.kt * in_per_group * out_per_group),
        bias_offset(group_floats * s.groups) {}
};

// As T stores it; maps of 8 bits have kernels of their own.
template <class T>
float stored(float weight) {
  if constexpr (std::is_same_v<T, AnyElement>) {
    return weight;
  } else {
    return T(weight);
  }
}

// acc[o] += x[i] * w[i][o], i ascending.
template <class T>
void accumulate(float* acc, int n, T x, int n_in, const float* w, int w_stride) {
  if (n == kBlock) {
    float local[kBlock];
    std::copy_n(acc, kBlock, local);
    for (int i = 0; i < n_in; ++i, w += w_stride) {
      const float xi = x[i];
      for (int o = 0; o < kBlock; ++o) local[o] += xi * w[o];
    }
    std::copy_n(local, kBlock, acc);
    return;
  }
  for (int i = 0; i < n_in; ++i, w += w_stride) {
    const float xi = x[i];
    for (int o = 0; o < n; ++o) acc[o] += xi * w[o];
  }
}

// Adds one pixel of temporal tap j, channels [c_lo, c_hi) of the whole input, to acc.
// w points at the weight of channel c_lo.
template <class T>
void add_pixel(const ConvArgs& a, int j, int y, int x, int c_lo, int c_hi, const float* w,
               int w_stride, float* acc, int n) {
  int c_seg = 0;
  for (int i = 0; i < a.shape->n_segs; ++i) {
    const SegmentView& seg = a.segs[i];
    const int seg_c = a.shape->seg_c[i];
    const int lo = std::max(c_lo, c_seg);
    const int hi = std::min(c_hi, c_seg + seg_c);
    if (lo < hi && seg.taps[j] != nullptr) {
      accumulate(acc, n, pixel<T>(seg.g, seg.taps[j], y, x) + (lo - c_seg), hi - lo,
                 w + static_cast<size_t>(lo - c_lo) * w_stride, w_stride);
    }
    c_seg += seg_c;
  }
}

// Output channels [o_lo, o_lo + n) of group `group` at pixel (oy, ox), before the activation.
template <class T>
void conv_block(const ConvArgs& a, const Layout& layout, int oy, int ox, int group, int o_lo, int n,
                float* acc) {
  const ConvShape& s = *a.shape;
  const float* bias = a.packed + layout.bias_offset + group * layout.out_per_group + o_lo;
  std::copy_n(bias, n, acc);
  const float* weights = a.packed + group * layout.group_floats + o_lo;
  const size_t tap_floats = static_cast<size_t>(layout.in_per_group) * layout.out_per_group;
  const int c_lo = group * layout.in_per_group;
  for (int j = 0; j < s.kt; ++j) {
    for (int ky = 0; ky < s.kh; ++ky) {
      const int y = oy * s.sh - s.ph + ky * s.dh;
      if (y < 0 || y >= s.in_h) continue;
      for (int kx = 0; kx < s.kw; ++kx) {
        const int x = ox * s.sw - s.pw + kx * s.dw;
        if (x < 0 || x >= s.in_w) continue;
        const size_t tap = j * layout.spatial_taps + static_cast<size_t>(ky) * s.kw + kx;
        add_pixel<T>(a, j, y, x, c_lo, c_lo + layout.in_per_group, weights + tap * tap_floats,
                     layout.out_per_group, acc, n);
      }
    }
  }
}

// What a map would hold of x: a sum has the bits of two operations. Where maps have 8 bits only
// convolutions over these add (conv_int8.cpp).
template <class T>
float as_stored(float x) {
  if constexpr (std::is_same_v<T, AnyElement>)
    return x;
  else
    return T(x);
}

template <class T>
float residual(const ConvArgs& a, int y, int x, int c) {
  const ResidualView& r = a.residual;
  return r.data == nullptr ? 0.0f : static_cast<float>(pixel<T>(r.g, r.data, y, x)[c]);
}

}  // namespace

size_t conv_packed_floats(const ConvShape& s) {
  if (s.algorithm == ConvAlgorithm::int8) return int8_packed_floats(s);
  return Layout(s).bias_offset + s.out_c;
}

template <class T>
void conv_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  if (s.algorithm == ConvAlgorithm::int8) return int8_pack(s, weight, bias, packed);
  const Layout layout(s);
  const size_t taps = layout.spatial_taps * s.kt;
  for (int o = 0; o < s.out_c; ++o) {
    const int group = o / layout.out_per_group;
    for (int i = 0; i < layout.in_per_group; ++i) {
      for (size_t tap = 0; tap < taps; ++tap) {
        const size_t to = (tap * layout.in_per_group + i) * layout.out_per_group +
                          (o - group * layout.out_per_group);
        packed[group * layout.group_floats + to] =
            stored<T>(weight[(static_cast<size_t>(o) * layout.in_per_group + i) * taps + tap]);
      }
    }
    packed[layout.bias_offset + o] = bias[o];
  }
}

int conv_tiles(const ConvShape& s) { return s.out_h; }

size_t conv_scratch_floats(const ConvShape&) { return 0; }

double conv_cost(const ConvShape& s) {
  if (tile_size(s.algorithm) > 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(s.out_h) * s.out_w * s.out_c * (s.in_c / s.groups) * s.kt * s.kh *
         s.kw;
}

template <class T>
void conv(const ConvArgs& a, int lo, int hi) {
  const ConvShape& s = *a.shape;
  if (s.algorithm == ConvAlgorithm::int8) return int8_conv(a, lo, hi);
  const Layout layout(s);
  for (int oy = lo; oy < hi; ++oy) {
    for (int ox = 0; ox < s.out_w; ++ox) {
      const auto out = pixel<T>(a.out, oy, ox);
      for (int group = 0; group < s.groups; ++group) {
        for (int o = 0; o < layout.out_per_group; o += kBlock) {
          const int n = std::min(kBlock, layout.out_per_group - o);
          float acc[kBlock];
          conv_block<T>(a, layout, oy, ox, group, o, n, acc);
          for (int i = 0; i < n; ++i) {
            const int c = group * layout.out_per_group + o + i;
            if (s.residual) acc[i] = as_stored<T>(acc[i]) + residual<T>(a, oy, ox, c);
            out[c] = activate(s.act, s.numbers, acc[i]);
          }
        }
      }
    }
  }
}

template void conv_pack<float>(const ConvShape&, const float*, const float*, float*);
template void conv_pack<Bf16>(const ConvShape&, const float*, const float*, float*);
template void conv_pack<AnyElement>(const ConvShape&, const float*, const float*, float*);
template void conv<float>(const ConvArgs&, int, int);
template void conv<Bf16>(const ConvArgs&, int, int);
template void conv<AnyElement>(const ConvArgs&, int, int);

}  // namespace pvnet::ref
