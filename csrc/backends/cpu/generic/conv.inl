// SPDX-License-Identifier: Apache-2.0
// Direct convolution around the register tile of conv_micro.inl.
//
// Loops: block of output channels / batch of pixel groups / chunk of the reduction / pair of
// groups. The first two are the other way round where the input is large: weights stream well,
// pixels do not. A chunk is as many runs as have weights that stay in the L2 cache while the batch
// goes over them; between chunks the sums wait in a scratch on the stack.

constexpr int kMaxRuns = 384;
constexpr int64_t kChunkBytes = 64 * 1024;

// Whether a pointwise convolution takes the rows of its maps for one long row: it can, and its rows
// are not whole groups anyway.
bool is_one_row(const ConvArgs& a) {
  const ConvShape& s = *a.shape;
  bool one = s.kh * s.kw * s.sh * s.sw == 1 && s.ph == 0 && s.pw == 0 &&
             s.out_w % kGroupPixels != 0 && a.out.g.row_stride == s.out_w * a.out.g.pixel_stride &&
             s.out_h == s.in_h && s.out_w == s.in_w;
  for (int i = 0; i < s.n_segs; ++i) {
    const MapGeometry& g = a.segs[i].g;
    one = one && g.row_stride == s.in_w * g.pixel_stride;
  }
  const ResidualView& more = a.residual;
  one = one && (more.data == nullptr || more.g.row_stride == s.out_w * more.g.pixel_stride);
  return one;
}

struct DenseConv {
  const ConvArgs& a;
  const ConvShape& s;
  Blocks blocks;
  bool one_row;
  // Runs of the current chunk: taps [chunk_lo, chunk_hi) of weight group `chunk_group`.
  Run runs[kMaxRuns];
  int n_runs = 0;
  int chunk_group = -1, chunk_lo = 0, chunk_hi = 0;
  bool chunk_whole = false;
  PixelGroup groups[kBatchGroups];
  KeptGroups kept;
  alignas(64) float scratch[kBatchGroups * kGroupPixels * kBlock];

  explicit DenseConv(const ConvArgs& args)
      : a(args), s(*args.shape), blocks(*args.shape), one_row(is_one_row(args)) {}
  int taps() const { return s.n_segs * s.kt * s.kh * s.kw; }
  void fill(int group, int lo, int64_t max_bytes);
  void batch(int block, const GroupBatch& of);
  void batch_vectors(int block, const GroupBatch& of);
  void batch_narrow(int block, const GroupBatch& of);
  void rows(int block, int y_lo, int y_hi);
  void pixels(int block, int lo, int hi);
};

// Collects runs from tap `lo` = ((segment * kt + j) * kh + ky) * kw + kx on.
void DenseConv::fill(int group, int lo, int64_t max_bytes) {
  const int per_seg = s.kt * s.kh * s.kw;
  int tap = lo, seg = lo / per_seg;
  int64_t bytes = 0, weight = 0;
  int c_lo = 0;
  const int g_lo = group * blocks.ic, g_hi = g_lo + blocks.ic;
  for (int i = 0; i < seg; ++i) {
    weight +=
        static_cast<int64_t>(imax(0, imin(c_lo + s.seg_c[i], g_hi) - imax(c_lo, g_lo))) * per_seg;
    c_lo += s.seg_c[i];
  }
  n_runs = 0;
  for (; seg < s.n_segs && bytes < max_bytes && n_runs < kMaxRuns; ++seg) {
    const SegmentView& view = a.segs[seg];
    const int first = imax(c_lo, g_lo), n = imin(c_lo + s.seg_c[seg], g_hi) - first;
    const int seg_end = (seg + 1) * per_seg;
    if (n <= 0) tap = seg_end;
    // Taps side by side in memory are one long run.
    const bool whole_row = view.g.pixel_stride == n && s.dw == 1;
    const int step = whole_row ? s.kw : 1;
    while (tap < seg_end && bytes < max_bytes && n_runs < kMaxRuns) {
      const int local = tap - seg * per_seg;
      const int kx = local % s.kw, ky = local / s.kw % s.kh, j = local / (s.kw * s.kh);
      tap += step;
      const float* x = view.taps[j];
      if (x == nullptr) continue;
      Run& r = runs[n_runs++];
      r.dy = ky * s.dh - s.ph;
      r.base = reinterpret_cast<const char*>(
          x + r.dy * view.g.row_stride + (kx * s.dw - s.pw) * view.g.pixel_stride + first - c_lo);
      r.weight = weight + static_cast<int64_t>(local) * n;
      r.channels = n * step;
      r.tap_channels = n;
      r.row_step = view.g.row_stride * s.sh * 4;
      r.pixel_step = view.g.pixel_stride * s.sw * 4;
      bytes += static_cast<int64_t>(r.channels) * kBlock * 4;
    }
    if (tap < seg_end) break;
    weight += static_cast<int64_t>(imax(n, 0)) * per_seg;
    c_lo += s.seg_c[seg];
  }
  chunk_group = group;
  chunk_lo = lo;
  chunk_hi = tap;
  chunk_whole = lo == 0 && tap == taps();
}

void DenseConv::batch(int block, const GroupBatch& of) {
  const int j = block % blocks.per_group;
  if (blocks.vecs(j) > 0) batch_vectors(block, of);
  if (blocks.narrow(j) > 0) batch_narrow(block, of);
}

void DenseConv::batch_narrow(int block, const GroupBatch& of) {
  const int group = block / blocks.per_group, j = block % blocks.per_group;
  const int vecs = blocks.vecs(j) * kVecWidth;
  const int oc = group * blocks.oc + j * kBlock + vecs;
  auto m = micro_args<MicroArgs>(a);
  m.out_channels = blocks.narrow(j);
  NarrowWeights weights;
  weights.first = a.packed + group * blocks.group_floats + blocks.offset(j) + (blocks.k + 1) * vecs;
  weights.step = blocks.k + 1;
  for (int lo = 0; lo < taps(); lo = chunk_hi) {
    if (!(lo == 0 && chunk_whole && chunk_group == group)) fill(group, lo, INT64_MAX);
    m.runs = runs;
    m.n_runs = n_runs;
    weights.begins = lo == 0;
    const bool last = chunk_hi == taps();
    GroupPass<MicroArgs, float> pass{m, last ? a.out.data + oc : nullptr,
                                     last ? residual_data(a, oc) : nullptr};
    run_narrow(*this, pass, of, weights, kNarrowMicro);
  }
}

void DenseConv::batch_vectors(int block, const GroupBatch& of) {
  const int group = block / blocks.per_group, j = block % blocks.per_group;
  const int vecs = blocks.vecs(j), width = vecs * kVecWidth;
  const float* packed = a.packed + group * blocks.group_floats + blocks.offset(j);
  const int oc = group * blocks.oc + j * kBlock;
  const int64_t max_bytes = of.n <= 2 ? INT64_MAX : kChunkBytes;
  auto m = micro_args<MicroArgs>(a);
  m.weight = packed + width;
  m.out_channels = imin(blocks.channels(j), width);
  const int kind = vecs == 2 && 2 * m.out_channels <= 3 * kVecWidth ? 2 : vecs - 1;
  for (int lo = 0; lo < taps(); lo = chunk_hi) {
    if (!(lo == 0 && chunk_whole && chunk_group == group)) fill(group, lo, max_bytes);
    m.runs = runs;
    m.n_runs = n_runs;
    m.bias = lo == 0 ? packed : nullptr;
    const bool last = chunk_hi == taps();
    // In weights: where this chunk begins and ends.
    const Run& back = runs[imax(n_runs - 1, 0)];
    const int64_t begin = n_runs > 0 ? runs[0].weight : 0;
    const int64_t end = n_runs > 0 ? back.weight + back.channels : 0;
    const int64_t share = (end - begin) * width * 4 / kPrefetchPasses;
    const char* next = reinterpret_cast<const char*>(m.weight + end * width);
    GroupPass<MicroArgs, float> pass{m, last ? a.out.data + oc : nullptr,
                                     last ? residual_data(a, oc) : nullptr, next, share};
    pass.asking = of.n > 2 ? kPrefetchPasses : 0;
    for (int i = 0; i < of.n; i = of.end_of_size(i)) {
      const auto& micro = kMicro[of.pixels(i) - 1];
      run_groups(*this, pass, i, of.end_of_size(i), micro[0][kind], micro[1][kind]);
    }
  }
}

// Pixels [lo, hi) of one long row, in groups of nearly equal size: where a group has 3 pixels, 7
// rows of 7 are 17 groups and not 21.
void DenseConv::pixels(int block, int lo, int hi) {
  for (int x0 = lo; x0 < hi; x0 += kBatchGroups * kGroupPixels) {
    const int count = imin(hi - x0, kBatchGroups * kGroupPixels), n = ceil_div(count, kGroupPixels);
    const int size = count / n, n_big = count - size * n;
    if (!kept.are(x0, hi, 0)) {
      for (int i = 0; i < n; ++i) groups[i] = pixel_group(a, 0, x0 + i * size + imin(i, n_big));
      kept = {x0, hi, 0, {n_big, n, size + 1}};
    }
    batch(block, kept.batch);
  }
}

void DenseConv::rows(int block, int y_lo, int y_hi) {
  if (one_row) return pixels(block, y_lo * s.out_w, y_hi * s.out_w);
  batch_rows(*this, block, y_lo, y_hi);
}

void conv_dense(const ConvArgs& a, int lo, int hi) {
  DenseConv c(a);
  run_tiles(c, input_elements(a) * static_cast<int64_t>(sizeof(float)), lo, hi);
}
