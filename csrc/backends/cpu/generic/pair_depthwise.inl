// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution over bf16: vectors over channels, several pixels of a row at once; weights
// and sums are floats. One tile is one output row.

constexpr int kDepthwisePixels = 4;

// N pixels of row y from x on, the n channels of a segment from c on; c0: the segment's first one.
template <int N>
inline void depthwise_pixels(const ConvArgs& a, const SegmentView& seg, int c0, int y, int x, int c,
                             int n) {
  const ConvShape& s = *a.shape;
  const int64_t stride = depthwise_stride(s), step = s.sw * seg.g.pixel_stride;
  const float* weight = a.packed + c0 + c;
  vec acc[N];
  acc[0] = load(weight);
#pragma GCC unroll 4
  for (int p = 1; p < N; ++p) acc[p] = acc[0];
  for (int tap = 0; tap < s.kt; ++tap) {
    if (seg.taps[tap] == nullptr) {
      weight += stride * s.kh * s.kw;
      continue;
    }
    for (int ky = 0; ky < s.kh; ++ky) {
      const elem* in = elems(seg.taps[tap]) + (y * s.sh + ky * s.dh - s.ph) * seg.g.row_stride +
                       (x * s.sw - s.pw) * seg.g.pixel_stride + c;
      for (int kx = 0; kx < s.kw; ++kx, in += s.dw * seg.g.pixel_stride) {
        weight += stride;
        const vec w = load(weight);
#pragma GCC unroll 4
        for (int p = 0; p < N; ++p) acc[p] = fma(load_n(in + p * step, n), w, acc[p]);
      }
    }
  }
  elem* out = elems(a.out.data) + y * a.out.g.row_stride + x * a.out.g.pixel_stride + c0 + c;
#pragma GCC unroll 4
  for (int p = 0; p < N; ++p) {
    store_n(out + p * a.out.g.pixel_stride, activate(acc[p], s.act, s.numbers), n);
  }
}

void depthwise(const ConvArgs& a, int row_lo, int row_hi) {
  const ConvShape& s = *a.shape;
  for (int y = row_lo; y < row_hi; ++y) {
    for (int seg = 0, c0 = 0; seg < s.n_segs; c0 += s.seg_c[seg++]) {
      const SegmentView& view = a.segs[seg];
      // A last vector that is not full is taken whole where the pixels of both maps have room.
      const int all = ceil_div(view.g.c, kVecWidth) * kVecWidth;
      const bool room = all <= view.g.pixel_stride && c0 + all <= a.out.g.pixel_stride;
      const int channels = room ? all : view.g.c;
      for (int c = 0; c < channels; c += kVecWidth) {
        int x = 0;
        for (; x + kDepthwisePixels <= s.out_w; x += kDepthwisePixels) {
          depthwise_pixels<kDepthwisePixels>(a, view, c0, y, x, c, channels - c);
        }
        for (; x < s.out_w; ++x) depthwise_pixels<1>(a, view, c0, y, x, c, channels - c);
      }
    }
  }
}

void conv(const ConvArgs& a, int lo, int hi) {
  if (is_depthwise(*a.shape)) {
    depthwise(a, lo, hi);
  } else {
    conv_dense(a, lo, hi);
  }
}
