// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution: vectors over channels, a few pixels at once so that a weight is loaded
// once for all of them. One tile is one output row.

constexpr int kDepthwisePixels = 4;

template <int N>
inline void depthwise_pixels(const ConvArgs& a, const SegmentView& seg, int c0, int c, int y,
                             int x) {
  const ConvShape& s = *a.shape;
  const int64_t w_stride = depthwise_stride(s), step = seg.g.pixel_stride * s.sw;
  const int n = imin(kVecWidth, seg.g.c - c);
  const float* w = a.packed + c0 + c;
  vec acc[N];
  for (int p = 0; p < N; ++p) acc[p] = load(w);
  for (int j = 0; j < s.kt; ++j) {
    if (seg.taps[j] == nullptr) continue;
    for (int ky = 0; ky < s.kh; ++ky) {
      const float* in = seg.taps[j] + (y * s.sh + ky * s.dh - s.ph) * seg.g.row_stride +
                        (x * s.sw - s.pw) * seg.g.pixel_stride + c;
      const float* wt = w + (static_cast<int64_t>(j * s.kh + ky) * s.kw + 1) * w_stride;
      for (int kx = 0; kx < s.kw; ++kx) {
        const vec wv = load(wt);
        for (int p = 0; p < N; ++p) acc[p] = fma(load_n(in + p * step, n), wv, acc[p]);
        in += s.dw * seg.g.pixel_stride;
        wt += w_stride;
      }
    }
  }
  float* out = a.out.data + y * a.out.g.row_stride + x * a.out.g.pixel_stride + c0 + c;
  for (int p = 0; p < N; ++p) {
    store_n(out + p * a.out.g.pixel_stride, activate(acc[p], s.act, s.numbers), n);
  }
}

void depthwise(const ConvArgs& a, int row_lo, int row_hi) {
  const ConvShape& s = *a.shape;
  for (int y = row_lo; y < row_hi; ++y) {
    int c0 = 0;
    for (int i = 0; i < s.n_segs; c0 += s.seg_c[i++]) {
      for (int c = 0; c < s.seg_c[i]; c += kVecWidth) {
        int x = 0;
        for (; x + kDepthwisePixels <= s.out_w; x += kDepthwisePixels) {
          depthwise_pixels<kDepthwisePixels>(a, a.segs[i], c0, c, y, x);
        }
        for (; x < s.out_w; ++x) depthwise_pixels<1>(a, a.segs[i], c0, c, y, x);
      }
    }
  }
}
