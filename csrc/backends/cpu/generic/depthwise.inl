// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution: vectors over channels, several pixels of a row at once. One tile is one
// output row.
//
// The usual windows, 3 or 5 wide and one or two pixels apart, have a kernel of their own. It loads
// a pixel of the input once for all outputs that it is part of: loads, not products, are the bound.
// The others have a simple one. Both sum the taps of a row from left to right. So the bits of an
// output do not depend on which kernel made it.

constexpr int kDepthwisePixels = 8;  // with 5 weights and a pixel: 14 of the 16 registers of AVX2
constexpr int kDepthwiseRows = 64;   // of a window, over all its taps; more have the simple kernel

// A row of the window: its pixel 0 for the first output of a run, and its weights.
struct DepthwiseRow {
  const float *in, *weights;
};

// Outputs side by side in a row of the map, all channels of one segment.
struct DepthwiseRun {
  const ConvArgs& a;
  const SegmentView& seg;
  int c0;  // of the segment's first channel
  int y, x;
  int n_rows = 0;
  DepthwiseRow rows[kDepthwiseRows];

  // As many bytes of rows as there are would take time to clear.
  DepthwiseRun(const ConvArgs& args, const SegmentView& segment, int first, int at_y, int at_x)
      : a(args), seg(segment), c0(first), y(at_y), x(at_x) {}
  int64_t weight_stride() const { return depthwise_stride(*a.shape); }
  const float* bias() const { return a.packed + c0; }
  float* out() const { return a.out.data + y * a.out.g.row_stride + x * a.out.g.pixel_stride + c0; }
  const float* residual(int p, int c) const { return residual_at(a, y, x + p, c0 + c); }
  DepthwiseRow row(int tap, int ky) const {
    const ConvShape& s = *a.shape;
    return {seg.taps[tap] + (y * s.sh + ky * s.dh - s.ph) * seg.g.row_stride +
                (x * s.sw - s.pw) * seg.g.pixel_stride,
            bias() + (static_cast<int64_t>(tap * s.kh + ky) * s.kw + 1) * weight_stride()};
  }
  void find_rows() {
    for (int tap = 0; tap < a.shape->kt; ++tap) {
      if (seg.taps[tap] == nullptr) continue;
      for (int ky = 0; ky < a.shape->kh; ++ky) rows[n_rows++] = row(tap, ky);
    }
  }
};

// Pixel p of a run, the n channels from c on.
inline void depthwise_pixel(const DepthwiseRun& r, int p, int c, int n) {
  const ConvShape& s = *r.a.shape;
  const int64_t stride = r.weight_stride(), step = s.dw * r.seg.g.pixel_stride;
  vec acc = load(r.bias() + c);
  for (int tap = 0; tap < s.kt; ++tap) {
    if (r.seg.taps[tap] == nullptr) continue;
    for (int ky = 0; ky < s.kh; ++ky) {
      const DepthwiseRow row = r.row(tap, ky);
      const float* in = row.in + p * s.sw * r.seg.g.pixel_stride + c;
      for (int kx = 0; kx < s.kw; ++kx) {
        acc = fma(load_n(in + kx * step, n), load(row.weights + kx * stride + c), acc);
      }
    }
  }
  if (s.residual) acc = with_residual(acc, r.residual(p, c), n);
  store_n(r.out() + p * r.a.out.g.pixel_stride + c, activate(acc, s.act, s.numbers), n);
}

// N pixels, channels [begin, end), whole vectors; windows KW wide, SW apart.
template <int N, int KW, int SW>
void depthwise_pixels(const DepthwiseRun& r, int begin, int end) {
  const int64_t stride = r.weight_stride(), step = r.seg.g.pixel_stride;
  const int64_t out_step = r.a.out.g.pixel_stride;
  const Act act = r.a.shape->act;
  for (int c = begin; c < end; c += kVecWidth) {
    vec acc[N];
    acc[0] = load(r.bias() + c);
#pragma GCC unroll 8
    for (int p = 1; p < N; ++p) acc[p] = acc[0];
    for (int i = 0; i < r.n_rows; ++i) {
      const float *in = r.rows[i].in + c, *w = r.rows[i].weights + c;
      vec weight[KW];
#pragma GCC unroll 8
      for (int kx = 0; kx < KW; ++kx) weight[kx] = load(w + kx * stride);
#pragma GCC unroll 32
      for (int q = 0; q < (N - 1) * SW + KW; ++q) {
        const vec pixel = load(in);
        in += step;
#pragma GCC unroll 8
        for (int kx = 0; kx < KW; ++kx) {
          const int p = (q - kx) / SW;
          if (q < kx || (q - kx) % SW != 0 || p >= N) continue;
          acc[p] = fma(pixel, weight[kx], acc[p]);
        }
      }
    }
    if (r.a.shape->residual) {
#pragma GCC unroll 8
      for (int p = 0; p < N; ++p) acc[p] = with_residual(acc[p], r.residual(p, c), kVecWidth);
    }
    float* out = r.out() + c;
#pragma GCC unroll 8
    for (int p = 0; p < N; ++p) {
      store(out, activate(acc[p], act, r.a.shape->numbers));
      out += out_step;
    }
  }
}

using DepthwiseKernel = void (*)(const DepthwiseRun&, int begin, int end);

// By the number of pixels, from 1 on.
template <int KW, int SW>
constexpr DepthwiseKernel kDepthwise[kDepthwisePixels] = {
    depthwise_pixels<1, KW, SW>, depthwise_pixels<2, KW, SW>, depthwise_pixels<3, KW, SW>,
    depthwise_pixels<4, KW, SW>, depthwise_pixels<5, KW, SW>, depthwise_pixels<6, KW, SW>,
    depthwise_pixels<7, KW, SW>, depthwise_pixels<8, KW, SW>};

inline const DepthwiseKernel* depthwise_kernels(const ConvShape& s) {
  if (s.dw != 1 || s.sw > 2 || s.kt * s.kh > kDepthwiseRows) return nullptr;
  if (s.kw == 3) return s.sw == 1 ? kDepthwise<3, 1> : kDepthwise<3, 2>;
  if (s.kw == 5) return s.sw == 1 ? kDepthwise<5, 1> : kDepthwise<5, 2>;
  return nullptr;
}

// Channels that whole vectors may take: a last one that is not full, too, where the pixels of all
// maps have room for it.
inline int whole_channels(const DepthwiseRun& r) {
  const int all = ceil_div(r.seg.g.c, kVecWidth) * kVecWidth;
  const ResidualView& more = r.a.residual;
  const bool room = all <= r.seg.g.pixel_stride && r.c0 + all <= r.a.out.g.pixel_stride &&
                    (more.data == nullptr || r.c0 + all <= more.g.pixel_stride);
  return room ? all : r.seg.g.c / kVecWidth * kVecWidth;
}

// Of the pixels of a run, a segment's channels [begin, end); `whole` of all are whole vectors.
inline void depthwise_run(DepthwiseRun& r, int n, const DepthwiseKernel* kernels, int begin,
                          int end) {
  int c = begin;
  if (kernels != nullptr) {
    r.find_rows();
    c = imin(end, whole_channels(r));
    if (c > begin) kernels[n - 1](r, begin, c);
  }
  for (; c < imin(end, r.seg.g.c); c += kVecWidth) {
    for (int p = 0; p < n; ++p) depthwise_pixel(r, p, c, r.seg.g.c - c);
  }
}

// Channels of a piece, which all rows of the output go over before the next: where pixels are deep,
// the rows of a window leave the first cache before the next row of the output reads them again.
// Pieces of fewer channels cost more than they save.
constexpr int64_t kFirstCacheBytes = 48 * 1024;
constexpr int kPieceChannels = 128;
inline int depthwise_piece(const ConvShape& s, const SegmentView& seg) {
  const int64_t rows = seg.g.row_stride * s.kt * s.kh * static_cast<int64_t>(sizeof(float));
  if (rows <= kFirstCacheBytes) return seg.g.c;
  const int pieces = imax(1, seg.g.c / kPieceChannels);
  return ceil_div(ceil_div(seg.g.c, pieces), kVecWidth) * kVecWidth;
}

void depthwise(const ConvArgs& a, int row_lo, int row_hi) {
  const ConvShape& s = *a.shape;
  const DepthwiseKernel* kernels = depthwise_kernels(s);
  // Runs of nearly equal length: 14 pixels are 7 and 7.
  const int runs = ceil_div(s.out_w, kDepthwisePixels);
  const int length = s.out_w / runs, longer = s.out_w - length * runs;
  for (int seg = 0, c0 = 0; seg < s.n_segs; c0 += s.seg_c[seg++]) {
    const MapGeometry& g = a.segs[seg].g;
    const int piece = depthwise_piece(s, a.segs[seg]);
    for (int c = 0; c < g.c; c += piece) {
      for (int y = row_lo; y < row_hi; ++y) {
        for (int i = 0, x = 0; i < runs; ++i) {
          const int n = length + (i < longer ? 1 : 0);
          DepthwiseRun run(a, a.segs[seg], c0, y, x);
          depthwise_run(run, n, kernels, c, c + piece);
          x += n;
        }
      }
    }
  }
}
