// SPDX-License-Identifier: Apache-2.0
// Direct convolution over bf16, around the register tile of pair_micro.inl.
//
// Loops: block of output channels / batch of pixel groups / chunk of the reduction / pair of
// groups. The first two are the other way round where the input is large: weights stream well,
// pixels do not. A chunk is as many runs as have weights that stay in the L2 cache while the batch
// goes over them. Between chunks the sums wait, as floats, in a scratch on the stack.

constexpr int kMaxPairRuns = 384;
constexpr int64_t kPairChunkBytes = 64 * 1024;

struct PairConv {
  const ConvArgs& a;
  const ConvShape& s;
  PairBlocks blocks;
  // Runs of the current chunk: places [chunk_lo, chunk_hi) of weight group `chunk_group`. A place
  // is a segment at a tap: ((j * kh + ky) * kw + kx) * n_segs + segment.
  PairRun runs[kMaxPairRuns];
  int n_runs = 0;
  int chunk_group = -1, chunk_lo = 0, chunk_hi = 0;
  bool chunk_whole = false;
  PixelGroup groups[kBatchGroups];
  KeptGroups kept;
  alignas(64) float scratch[kBatchGroups * kGroupPixels * kBlock];

  explicit PairConv(const ConvArgs& args) : a(args), s(*args.shape), blocks(*args.shape) {}
  int places() const { return s.n_segs * s.kt * s.kh * s.kw; }
  bool whole_lines() const;
  void add_run(int seg, int tap, int taps, int first, int n, int c_lo);
  void fill(int group, int lo, int64_t max_bytes);
  void batch(int block, const GroupBatch& of);
  void batch_vectors(int block, const GroupBatch& of);
  void batch_narrow(int block, const GroupBatch& of);
  void rows(int block, int y_lo, int y_hi) { batch_rows(*this, block, y_lo, y_hi); }
};

// A line of the window lies in memory as it is packed.
bool PairConv::whole_lines() const {
  return s.n_segs == 1 && s.groups == 1 && s.dw == 1 && a.segs[0].g.pixel_stride == s.in_c;
}

// Of `taps` taps side by side, the n channels of the segment from `first` on (of the whole input,
// whose segment begins with c_lo).
void PairConv::add_run(int seg, int tap, int taps, int first, int n, int c_lo) {
  const SegmentView& view = a.segs[seg];
  const int kx = tap % s.kw, ky = tap / s.kw % s.kh, j = tap / (s.kw * s.kh);
  if (view.taps[j] == nullptr) return;
  const int group_first = first - chunk_group * blocks.ic;
  const int line_first = kx * blocks.ic + group_first;  // element of the line
  const int elements = n * taps;
  PairRun& r = runs[n_runs++];
  r.dy = ky * s.dh - s.ph;
  r.base = reinterpret_cast<const char*>(elems(view.taps[j]) + r.dy * view.g.row_stride +
                                         (kx * s.dw - s.pw) * view.g.pixel_stride + first - c_lo);
  r.weight = (j * s.kh + ky) * blocks.line + line_first / 2;
  r.lead = line_first % 2 != 0;
  r.words = (elements - (r.lead ? 1 : 0)) / 2;
  r.tail = (line_first + elements) % 2 != 0;
  r.row_step = view.g.row_stride * s.sh * static_cast<int64_t>(sizeof(elem));
  r.pixel_step = view.g.pixel_stride * s.sw * static_cast<int64_t>(sizeof(elem));
}

// Collects runs from place `lo` on.
void PairConv::fill(int group, int lo, int64_t max_bytes) {
  const bool whole = whole_lines();
  const int step = whole ? s.kw : 1;
  int tap = lo / s.n_segs, seg = lo % s.n_segs, c_lo = 0;
  for (int i = 0; i < seg; ++i) c_lo += s.seg_c[i];
  const int g_lo = group * blocks.ic, g_hi = g_lo + blocks.ic;
  int64_t bytes = 0;
  n_runs = 0;
  chunk_group = group;
  while (tap < s.kt * s.kh * s.kw && bytes < max_bytes && n_runs < kMaxPairRuns) {
    const int first = imax(c_lo, g_lo), n = imin(c_lo + s.seg_c[seg], g_hi) - first;
    const int before = n_runs;
    if (n > 0) add_run(seg, tap, step, first, n, c_lo);
    if (n_runs > before) bytes += runs[before].all_words() * kBlock * 4;
    c_lo += s.seg_c[seg];
    if (++seg == s.n_segs) seg = 0, c_lo = 0, tap += step;
  }
  chunk_lo = lo;
  chunk_hi = tap * s.n_segs + seg;
  chunk_whole = lo == 0 && chunk_hi == places();
}

void PairConv::batch(int block, const GroupBatch& of) {
  const int j = block % blocks.per_group;
  if (blocks.vecs(j) > 0) batch_vectors(block, of);
  if (blocks.narrow(j) > 0) batch_narrow(block, of);
}

void PairConv::batch_narrow(int block, const GroupBatch& of) {
  const int group = block / blocks.per_group, j = block % blocks.per_group;
  const int width = blocks.vecs(j) * kVecWidth;
  const int oc = group * blocks.oc + j * kBlock + width;
  auto m = micro_args<PairArgs>(a);
  m.adds = s.residual;
  m.out_channels = blocks.narrow(j);
  NarrowWeights weights;
  weights.first = a.packed + group * blocks.group_words + blocks.offset(j) + (blocks.k + 1) * width;
  weights.step = blocks.k + 1;
  for (int lo = 0; lo < places(); lo = chunk_hi) {
    if (!(lo == 0 && chunk_whole && chunk_group == group)) fill(group, lo, INT64_MAX);
    m.runs = runs;
    m.n_runs = n_runs;
    weights.begins = lo == 0;
    const bool last = chunk_hi == places();
    GroupPass<PairArgs, elem> pass{m, last ? elems(a.out.data) + oc : nullptr,
                                   last ? residual_data(a, oc) : nullptr};
    run_narrow(*this, pass, of, weights, kPairNarrow);
  }
}

void PairConv::batch_vectors(int block, const GroupBatch& of) {
  const int group = block / blocks.per_group, j = block % blocks.per_group;
  const int vecs = blocks.vecs(j), width = vecs * kVecWidth;
  const float* packed = a.packed + group * blocks.group_words + blocks.offset(j);
  const int oc = group * blocks.oc + j * kBlock;
  const int64_t max_bytes = of.n <= 2 ? INT64_MAX : kPairChunkBytes;
  auto m = micro_args<PairArgs>(a);
  m.adds = s.residual;
  m.weight = reinterpret_cast<const uint32_t*>(packed) + width;
  m.out_channels = imin(blocks.channels(j), width);
  const int kind = vecs == 2 && 2 * m.out_channels <= 3 * kVecWidth ? 2 : vecs - 1;
  for (int lo = 0; lo < places(); lo = chunk_hi) {
    if (!(lo == 0 && chunk_whole && chunk_group == group)) fill(group, lo, max_bytes);
    m.runs = runs;
    m.n_runs = n_runs;
    m.bias = lo == 0 ? packed : nullptr;
    const bool last = chunk_hi == places();
    // In words: where this chunk begins and ends.
    const PairRun& back = runs[imax(n_runs - 1, 0)];
    const int64_t begin = n_runs > 0 ? runs[0].weight : 0;
    const int64_t end = n_runs > 0 ? back.weight + back.all_words() : 0;
    const int64_t share = (end - begin) * width * 4 / kPairPasses;
    const char* next = reinterpret_cast<const char*>(m.weight + end * width);
    GroupPass<PairArgs, elem> pass{m, last ? elems(a.out.data) + oc : nullptr,
                                   last ? residual_data(a, oc) : nullptr, next, share};
    pass.asking = of.n > 2 ? kPairPasses : 0;
    for (int i = 0; i < of.n; i = of.end_of_size(i)) {
      const auto& micro = kPairMicro[of.pixels(i) - 1];
      run_groups(*this, pass, i, of.end_of_size(i), micro[0][kind], micro[1][kind]);
    }
  }
}

void conv_pairs(const ConvArgs& a, int lo, int hi) {
  PairConv c(a);
  run_tiles(c, input_elements(a) * static_cast<int64_t>(sizeof(elem)), lo, hi);
}
