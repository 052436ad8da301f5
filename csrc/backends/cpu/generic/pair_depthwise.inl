// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution over bf16: vectors over channels, several pixels of a row at once; weights
// and sums are floats. One tile is one output row.
//
// A pixel of the input is widened once for all outputs that it is part of, where the window is 3 or
// 5 wide and one or two pixels apart. Every kernel sums the taps of a row from left to right, so
// that the bits of an output do not depend on which one made it.

constexpr int kPairPixels = 6;

// Outputs side by side in row y from x on, of a segment whose first channel is c0.
struct PairRow {
  const ConvArgs& a;
  const SegmentView& seg;
  int c0, y, x;

  const elem* in(int tap, int ky) const {
    const ConvShape& s = *a.shape;
    return elems(seg.taps[tap]) + (y * s.sh + ky * s.dh - s.ph) * seg.g.row_stride +
           (x * s.sw - s.pw) * seg.g.pixel_stride;
  }
  const elem* residual(int p, int c) const { return residual_at(a, y, x + p, c0 + c); }
  elem* out() const {
    return elems(a.out.data) + y * a.out.g.row_stride + x * a.out.g.pixel_stride + c0;
  }
};

// Adds a row of the window to the sums. KW, SW: the window's width and distance; 0: any.
template <int N, int KW, int SW>
__attribute__((always_inline)) inline void add_row(const PairRow& r, const elem* in,
                                                   const float* weight, int64_t stride, int n,
                                                   vec (&acc)[N]) {
  const ConvShape& s = *r.a.shape;
  const int64_t pixel = r.seg.g.pixel_stride;
  if constexpr (KW == 0) {
    for (int kx = 0; kx < s.kw; ++kx) {
      const vec w = load(weight + kx * stride);
#pragma GCC unroll 8
      for (int p = 0; p < N; ++p) {
        acc[p] = fma(load_n(in + (kx * s.dw + p * s.sw) * pixel, n), w, acc[p]);
      }
    }
  } else {
    vec w[KW];
#pragma GCC unroll 8
    for (int kx = 0; kx < KW; ++kx) w[kx] = load(weight + kx * stride);
#pragma GCC unroll 32
    for (int q = 0; q < (N - 1) * SW + KW; ++q) {
      const vec x = load_n(in + q * pixel, n);
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
template <int N, int KW, int SW>
void pair_pixels(const PairRow& r, int c, int n) {
  const ConvShape& s = *r.a.shape;
  const int64_t stride = depthwise_stride(s);
  const float* weight = r.a.packed + r.c0 + c;
  vec acc[N];
  acc[0] = load(weight);
#pragma GCC unroll 8
  for (int p = 1; p < N; ++p) acc[p] = acc[0];
  weight += stride;
  for (int tap = 0; tap < s.kt; ++tap) {
    for (int ky = 0; ky < s.kh; ++ky, weight += s.kw * stride) {
      if (r.seg.taps[tap] == nullptr) continue;
      const elem* in = r.in(tap, ky) + c;
      if (n >= kVecWidth) {
        add_row<N, KW, SW>(r, in, weight, stride, kVecWidth, acc);
      } else {
        add_row<N, KW, SW>(r, in, weight, stride, n, acc);
      }
    }
  }
  if (s.residual) {
#pragma GCC unroll 8
    for (int p = 0; p < N; ++p) acc[p] = with_residual(acc[p], r.residual(p, c), n);
  }
  elem* out = r.out() + c;
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, out += r.a.out.g.pixel_stride) {
    store_n(out, activate(acc[p], s.act, s.numbers), n);
  }
}

using PairKernel = void (*)(const PairRow&, int c, int n);

// By the number of pixels, from 1 on.
template <int KW, int SW>
constexpr PairKernel kPairDepthwise[kPairPixels] = {pair_pixels<1, KW, SW>, pair_pixels<2, KW, SW>,
                                                    pair_pixels<3, KW, SW>, pair_pixels<4, KW, SW>,
                                                    pair_pixels<5, KW, SW>, pair_pixels<6, KW, SW>};

inline const PairKernel* pair_kernels(const ConvShape& s) {
  const bool near = s.dw == 1 && (s.sw == 1 || s.sw == 2);
  if (near && s.kw == 3) return s.sw == 1 ? kPairDepthwise<3, 1> : kPairDepthwise<3, 2>;
  if (near && s.kw == 5) return s.sw == 1 ? kPairDepthwise<5, 1> : kPairDepthwise<5, 2>;
  return kPairDepthwise<0, 0>;
}

void pair_depthwise(const ConvArgs& a, int row_lo, int row_hi) {
  const ConvShape& s = *a.shape;
  const PairKernel* kernels = pair_kernels(s);
  // Runs of nearly equal length: 14 pixels are 5, 5 and 4.
  const int runs = ceil_div(s.out_w, kPairPixels);
  const int length = s.out_w / runs, longer = s.out_w - length * runs;
  for (int y = row_lo; y < row_hi; ++y) {
    for (int i = 0, x = 0; i < runs; ++i) {
      const int pixels = length + (i < longer ? 1 : 0);
      for (int seg = 0, c0 = 0; seg < s.n_segs; c0 += s.seg_c[seg++]) {
        const PairRow row{a, a.segs[seg], c0, y, x};
        // A last vector that is not full is taken whole where the pixels of all maps have room.
        const MapGeometry& g = row.seg.g;
        const int all = ceil_div(g.c, kVecWidth) * kVecWidth;
        const bool room = all <= g.pixel_stride && c0 + all <= a.out.g.pixel_stride &&
                          (a.residual.data == nullptr || c0 + all <= a.residual.g.pixel_stride);
        const int channels = room ? all : g.c;
        for (int c = 0; c < channels; c += kVecWidth) kernels[pixels - 1](row, c, channels - c);
      }
      x += pixels;
    }
  }
}
