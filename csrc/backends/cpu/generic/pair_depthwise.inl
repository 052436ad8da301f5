// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution over bf16: vectors over channels, several pixels of a row at once; sums are
// floats. One tile is one output row.
//
// Windows 3 or 5 wide and one or two pixels apart take a block of channels at a time, unpacked with
// one instruction for every vector. An element is unpacked once for all outputs of a run. Where
// pairs of elements are multiplied, a pair is an element of each of two rows. An output that reads
// one of them reads both, so that what lies beside a window is in no product.
//
// All others have a simple kernel. The shape alone decides, and the order of a sum depends on
// nothing else.

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

// Pixel p of a run, the n channels from c on.
void simple_pixel(const PairRow& r, int p, int c, int n) {
  const ConvShape& s = *r.a.shape;
  const int64_t stride = depthwise_stride(s), pixel = r.seg.g.pixel_stride;
  const float* weight = r.a.packed + r.c0 + c;
  vec acc = load(weight);
  weight += stride;
  for (int tap = 0; tap < s.kt; ++tap) {
    for (int ky = 0; ky < s.kh; ++ky, weight += s.kw * stride) {
      if (r.seg.taps[tap] == nullptr) continue;
      const elem* in = r.in(tap, ky) + p * s.sw * pixel + c;
      for (int kx = 0; kx < s.kw; ++kx) {
        acc = fma(load_n(in + kx * s.dw * pixel, n), load(weight + kx * stride), acc);
      }
    }
  }
  if (s.residual) acc = with_residual(acc, r.residual(p, c), n);
  store_n(r.out() + p * r.a.out.g.pixel_stride + c, activate(acc, s.act, s.numbers), n);
}

// Adds a row of the window, or (PAIR) two: HALVES halves of a block, from FIRST on. WHOLE: all
// channels are there, else n.
template <int N, int KW, int SW, int FIRST, int HALVES, bool WHOLE, bool PAIR>
__attribute__((always_inline)) inline void add_rows(const elem* in, int64_t row, int64_t pixel,
                                                    int n, const uint32_t* words,
                                                    vec (&acc)[HALVES][N]) {
  uvec w[HALVES][KW];
#pragma GCC unroll 8
  for (int kx = 0; kx < KW; ++kx) {
#pragma GCC unroll 2
    for (int h = 0; h < HALVES; ++h) {
      w[h][kx] = load_words(words + kx * kBlockElements + (FIRST + h) * kVecWidth);
    }
  }
#pragma GCC unroll 32
  for (int q = 0; q < (N - 1) * SW + KW; ++q, in += pixel) {
    block first = load_block(in, WHOLE ? kBlockElements : n), second = first;
    if constexpr (PAIR) {
      second = load_block(in + row, WHOLE ? kBlockElements : n);
    } else {
      first = block{};
    }
#pragma GCC unroll 2
    for (int h = 0; h < HALVES; ++h) {
      const uvec x = FIRST + h == 0 ? unpack_low(first, second) : unpack_high(first, second);
#pragma GCC unroll 8
      for (int kx = 0; kx < KW; ++kx) {
        const int p = (q - kx) / SW;
        if (q < kx || (q - kx) % SW != 0 || p >= N) continue;
        acc[h][p] = PAIR ? dot(acc[h][p], x, w[h][kx]) : fma((vec)x, (vec)w[h][kx], acc[h][p]);
      }
    }
  }
}

// The sums of halves of the block of channels from c on.
template <int N, int KW, int SW, int FIRST, int HALVES, bool WHOLE>
__attribute__((always_inline)) inline void sum_halves(const PairRow& r, int c, int n,
                                                      vec (&acc)[HALVES][N]) {
  const ConvShape& s = *r.a.shape;
  const int64_t row = s.dh * r.seg.g.row_stride, pixel = r.seg.g.pixel_stride;
  const float* packed = r.a.packed + c / kBlockElements * block_words(s);
#pragma GCC unroll 2
  for (int h = 0; h < HALVES; ++h) {
    acc[h][0] = load(packed + (FIRST + h) * kVecWidth);
#pragma GCC unroll 8
    for (int p = 1; p < N; ++p) acc[h][p] = acc[h][0];
  }
  auto* words = reinterpret_cast<const uint32_t*>(packed) + kBlockElements;
  for (int tap = 0; tap < s.kt; ++tap) {
    if (r.seg.taps[tap] == nullptr) {
      words += packed_rows(s) * KW * kBlockElements;
      continue;
    }
    const elem* in = r.in(tap, 0) + c;
    int ky = 0;
    if constexpr (kPairRows) {
      for (; ky + 1 < s.kh; ky += 2, in += 2 * row, words += KW * kBlockElements) {
        add_rows<N, KW, SW, FIRST, HALVES, WHOLE, true>(in, row, pixel, n, words, acc);
      }
    }
    for (; ky < s.kh; ++ky, in += row, words += KW * kBlockElements) {
      add_rows<N, KW, SW, FIRST, HALVES, WHOLE, false>(in, row, pixel, n, words, acc);
    }
  }
}

// N pixels, the n channels from c on, at most a block of them. Both halves at once where registers
// hold the sums: loads are as many as of one.
template <int N, int KW, int SW, bool WHOLE>
void block_pixels(const PairRow& r, int c, int n) {
  const ConvShape& s = *r.a.shape;
  vec acc[2][N];
  if constexpr (kGroupPixels > 3) {
    sum_halves<N, KW, SW, 0, 2, WHOLE>(r, c, n, acc);
  } else {
    vec half[1][N];
    sum_halves<N, KW, SW, 0, 1, WHOLE>(r, c, n, half);
#pragma GCC unroll 8
    for (int p = 0; p < N; ++p) acc[0][p] = half[0][p];
    sum_halves<N, KW, SW, 1, 1, WHOLE>(r, c, n, half);
#pragma GCC unroll 8
    for (int p = 0; p < N; ++p) acc[1][p] = half[0][p];
  }
  if (s.residual) {
#pragma GCC unroll 8
    for (int p = 0; p < N; ++p) {
      const elem* const more = r.residual(p, c);
      const block b = more == nullptr ? block{} : load_block(more, n);
      acc[0][p] = as_stored(acc[0][p]) + (vec)unpack_low(block{}, b);
      acc[1][p] = as_stored(acc[1][p]) + (vec)unpack_high(block{}, b);
    }
  }
  elem* out = r.out() + c;
  // A copy: as far as the compiler knows, what is stored may lie where it does.
  const int64_t step = r.a.out.g.pixel_stride;
  const int all = WHOLE ? kBlockElements : n;
  if (Limits::are(s.act)) {  // one branch, not two for each
    const Limits limits(s.act, s.numbers);
    const vec low = splat(limits.low), high = splat(limits.high);
#pragma GCC unroll 8
    for (int p = 0; p < N; ++p, out += step) {
      store_block(out, vclamp(acc[0][p], low, high), vclamp(acc[1][p], low, high), all);
    }
    return;
  }
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, out += step) {
    store_block(out, activate(acc[0][p], s.act, s.numbers), activate(acc[1][p], s.act, s.numbers),
                all);
  }
}

// Outputs of a run. Rows are cut into runs of one length that fits, else of 8, 4 and 1; a last run
// may begin among the outputs of the one before, whose bits it gives once more.
constexpr int kRunLengths[] = {8, 7, 4, 1};
using BlockKernel = void (*)(const PairRow&, int c, int n);
struct RunKernel {
  BlockKernel whole, part;
};
template <int KW, int SW>
constexpr RunKernel kRunKernels[] = {
    {block_pixels<8, KW, SW, true>, block_pixels<8, KW, SW, false>},
    {block_pixels<7, KW, SW, true>, block_pixels<7, KW, SW, false>},
    {block_pixels<4, KW, SW, true>, block_pixels<4, KW, SW, false>},
    {block_pixels<1, KW, SW, true>, block_pixels<1, KW, SW, false>}};

// Which of the run lengths comes next, where `left` of `all` outputs of a row are left.
inline int next_run(int all, int left) {
  if (all % 8 != 0 && all % 7 == 0) return 1;
  if (all >= 8 && left > 4) return 0;
  return all >= 4 ? 2 : 3;
}

void block_row(const ConvArgs& a, int y, const RunKernel* kernels) {
  const int all = a.shape->out_w;
  const MapGeometry& g = a.segs[0].g;
  // A last block that is not full is taken whole where the pixels of all maps have room.
  const int blocks = ceil_div(g.c, kBlockElements) * kBlockElements;
  const bool room = blocks <= g.pixel_stride && blocks <= a.out.g.pixel_stride &&
                    (a.residual.data == nullptr || blocks <= a.residual.g.pixel_stride);
  const int channels = room ? blocks : g.c;
  for (int x = 0; x < all;) {
    const int run = next_run(all, all - x), length = kRunLengths[run];
    const PairRow row{a, a.segs[0], 0, y, imin(x, all - length)};
    for (int c = 0; c < channels; c += kBlockElements) {
      const int n = channels - c;
      (n >= kBlockElements ? kernels[run].whole : kernels[run].part)(row, c, n);
    }
    x += length;
  }
}

void simple_row(const ConvArgs& a, int y) {
  const ConvShape& s = *a.shape;
  for (int seg = 0, c0 = 0; seg < s.n_segs; c0 += s.seg_c[seg++]) {
    const PairRow row{a, a.segs[seg], c0, y, 0};
    const int channels = a.segs[seg].g.c;
    for (int x = 0; x < s.out_w; ++x) {
      for (int c = 0; c < channels; c += kVecWidth) simple_pixel(row, x, c, channels - c);
    }
  }
}

void pair_depthwise(const ConvArgs& a, int row_lo, int row_hi) {
  const ConvShape& s = *a.shape;
  if (!has_usual_window(s)) {
    for (int y = row_lo; y < row_hi; ++y) simple_row(a, y);
    return;
  }
  const RunKernel* const kernels = s.kw == 3 ? (s.sw == 1 ? kRunKernels<3, 1> : kRunKernels<3, 2>)
                                             : (s.sw == 1 ? kRunKernels<5, 1> : kRunKernels<5, 2>);
  for (int y = row_lo; y < row_hi; ++y) block_row(a, y, kernels);
}
