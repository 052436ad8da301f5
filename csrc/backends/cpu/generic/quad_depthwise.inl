// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution over maps of 8 bits: vectors over channels, several pixels of a row at
// once. Sums are floats, which hold these integers exactly. One tile is one output row.
//
// A pixel of the input is widened once for all outputs that it is part of, where the window is 3 or
// 5 wide and one or two pixels apart.

constexpr int kQuadPixels = 6;

// Outputs side by side in row y from x on, of a segment whose first channel is c0.
struct QuadRow {
  const ConvArgs& a;
  const SegmentView& seg;
  const target& out;  // pixel (0, 0)
  int c0, y, x;

  const char* in(int tap, int ky) const {
    const ConvShape& s = *a.shape;
    return reinterpret_cast<const char*>(seg.taps[tap]) +
           (y * s.sh + ky * s.dh - s.ph) * seg.g.row_stride +
           (x * s.sw - s.pw) * seg.g.pixel_stride;
  }
};

// Adds a row of the window to the sums. KW, SW: the window's width and distance; 0: any.
template <int N, int KW, int SW, bool SIGN>
__attribute__((always_inline)) inline void add_quad_row(const QuadRow& r, const char* in,
                                                        const float* weight, int64_t stride, int n,
                                                        vec (&acc)[N]) {
  const ConvShape& s = *r.a.shape;
  const int64_t pixel = r.seg.g.pixel_stride;
  if constexpr (KW == 0) {
    for (int kx = 0; kx < s.kw; ++kx) {
      const vec w = load(weight + kx * stride);
#pragma GCC unroll 8
      for (int p = 0; p < N; ++p) {
        const char* at = in + (kx * s.dw + p * s.sw) * pixel;
        acc[p] = fma(as_floats(widened_steps<SIGN>(at, n)), w, acc[p]);
      }
    }
  } else {
    vec w[KW];
#pragma GCC unroll 8
    for (int kx = 0; kx < KW; ++kx) w[kx] = load(weight + kx * stride);
#pragma GCC unroll 32
    for (int q = 0; q < (N - 1) * SW + KW; ++q) {
      const vec x = as_floats(widened_steps<SIGN>(in + q * pixel, n));
#pragma GCC unroll 8
      for (int kx = 0; kx < KW; ++kx) {
        const int p = (q - kx) / SW;
        if (q < kx || (q - kx) % SW != 0 || p >= N) continue;
        acc[p] = fma(x, w[kx], acc[p]);
      }
    }
  }
}

// N pixels, the n channels from c on.
template <int N, int KW, int SW, bool SIGN>
void quad_pixels(const QuadRow& r, int c, int n) {
  const ConvShape& s = *r.a.shape;
  const int64_t stride = depthwise_stride(s);
  const float* const scales = r.a.packed + r.c0 + c;
  const float* weight = scales + 2 * stride;
  vec acc[N];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) acc[p] = splat(0.0f);
  for (int tap = 0; tap < s.kt; ++tap) {
    for (int ky = 0; ky < s.kh; ++ky, weight += s.kw * stride) {
      if (r.seg.taps[tap] == nullptr) continue;
      const char* in = r.in(tap, ky) + c;
      if (n >= kVecWidth) {
        add_quad_row<N, KW, SW, SIGN>(r, in, weight, stride, kVecWidth, acc);
      } else {
        add_quad_row<N, KW, SW, SIGN>(r, in, weight, stride, n, acc);
      }
    }
  }
  const MapGeometry& g = r.a.out.g;
  target out = r.out + (r.y * g.row_stride + r.x * g.pixel_stride + r.c0 + c);
  const vec scale = load(scales), bias = load(scales + stride);
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, out += g.pixel_stride) {
    store_n(out, activate(exact_fma(acc[p], scale, bias), s.act, s.numbers), n);
  }
}

using QuadKernel = void (*)(const QuadRow&, int c, int n);

// By the number of pixels, from 1 on.
template <int KW, int SW, bool SIGN>
constexpr QuadKernel kQuadDepthwise[kQuadPixels] = {
    quad_pixels<1, KW, SW, SIGN>, quad_pixels<2, KW, SW, SIGN>, quad_pixels<3, KW, SW, SIGN>,
    quad_pixels<4, KW, SW, SIGN>, quad_pixels<5, KW, SW, SIGN>, quad_pixels<6, KW, SW, SIGN>};

template <bool SIGN>
inline const QuadKernel* quad_kernels(const ConvShape& s) {
  const bool near = s.dw == 1 && (s.sw == 1 || s.sw == 2);
  if (near && s.kw == 3) return s.sw == 1 ? kQuadDepthwise<3, 1, SIGN> : kQuadDepthwise<3, 2, SIGN>;
  if (near && s.kw == 5) return s.sw == 1 ? kQuadDepthwise<5, 1, SIGN> : kQuadDepthwise<5, 2, SIGN>;
  return kQuadDepthwise<0, 0, SIGN>;
}

void quad_depthwise(const ConvArgs& a, int row_lo, int row_hi) {
  const ConvShape& s = *a.shape;
  const target out = elems(a.out.g, a.out.data);
  // Runs of nearly equal length: 14 pixels are 5, 5 and 4.
  const int runs = ceil_div(s.out_w, kQuadPixels);
  const int length = s.out_w / runs, longer = s.out_w - length * runs;
  for (int y = row_lo; y < row_hi; ++y) {
    for (int i = 0, x = 0; i < runs; ++i) {
      const int pixels = length + (i < longer ? 1 : 0);
      for (int seg = 0, c0 = 0; seg < s.n_segs; c0 += s.seg_c[seg++]) {
        const QuadRow row{a, a.segs[seg], out, c0, y, x};
        const bool sign = row.seg.g.dtype == Dtype::int8;
        const QuadKernel* kernels = sign ? quad_kernels<true>(s) : quad_kernels<false>(s);
        // A last vector that is not full is taken whole where the pixels of both maps have room.
        const MapGeometry& g = row.seg.g;
        const int all = ceil_div(g.c, kVecWidth) * kVecWidth;
        const bool room = all <= g.pixel_stride && c0 + all <= a.out.g.pixel_stride;
        const int channels = room ? all : g.c;
        for (int c = 0; c < channels; c += kVecWidth) kernels[pixels - 1](row, c, channels - c);
      }
      x += pixels;
    }
  }
}
