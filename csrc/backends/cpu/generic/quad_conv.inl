// SPDX-License-Identifier: Apache-2.0
// Direct convolution over maps of 8 bits, around the register tile of quad_micro.inl.
//
// Loops: block of output channels / batch of pixel groups / chunk of the window / pair of groups.
// The first two are the other way round where the input is large: weights stream well, pixels do
// not. A chunk is as many runs as have weights that stay in the L2 cache while the batch goes over
// them. Between chunks the sums wait in a scratch on the stack.

constexpr int kMaxQuadRuns = 384;
constexpr int64_t kQuadChunkBytes = 64 * 1024;

struct QuadPass;

struct QuadConv {
  const ConvArgs& a;
  const ConvShape& s;
  QuadBlocks blocks;
  bool merges;  // a row of the window lies in memory as it is packed
  QuadEnd end;
  // Runs of the current chunk: places [chunk_lo, chunk_hi) of group `chunk_group`. A place is a
  // segment at a tap: ((j * kh + ky) * kw + kx) * n_segs + segment.
  QuadRun runs[kMaxQuadRuns];
  int n_runs = 0;
  int chunk_group = -1, chunk_lo = 0, chunk_hi = 0;
  bool chunk_whole = false;
  PixelGroup groups[kBatchGroups];
  KeptGroups kept;
  alignas(64) int32_t begin[kBlock];
  alignas(64) int32_t scratch[kBatchGroups * kGroupPixels * kBlock];

  explicit QuadConv(const ConvArgs& args);
  // Whether channels up to `end_c` may be stored and read in pixels of both maps.
  bool has_room(int end_c) const {
    return s.groups == 1 && end_c <= end.g.pixel_stride && end_c <= end.residual_g.pixel_stride;
  }
  int32_t* scratch_of(int i) { return scratch + static_cast<int64_t>(i) * kGroupPixels * kBlock; }
  void run_quad_groups(QuadPass& pass, int lo, int hi, QuadMicro one, QuadMicro two);
  int places() const { return s.n_segs * s.kt * s.kh * s.kw; }
  void add_run(int seg, int tap, int taps, int first, int n, int c_lo, int64_t word);
  void fill(int group, int lo, int64_t max_bytes);
  void set_begin(const float* packed, int width);
  void batch(int block, const GroupBatch& of);
  void batch_vectors(int block, const GroupBatch& of);
  void batch_narrow(int block, const GroupBatch& of);
  void rows(int block, int y_lo, int y_hi) { batch_rows(*this, block, y_lo, y_hi); }
};

QuadConv::QuadConv(const ConvArgs& args)
    : a(args), s(*args.shape), blocks(*args.shape), end(*args.shape, args.out.g, args.residual.g) {
  const MapGeometry& g = a.segs[0].g;
  merges = blocks.lines || (s.n_segs == 1 && s.groups == 1 && s.dw == 1 && s.in_c % 4 == 0 &&
                            g.pixel_stride == s.in_c);
}

// Of `taps` taps side by side, the n channels of the segment from `first` on (of the whole input,
// whose segment begins with c_lo); `word`: the first of them.
void QuadConv::add_run(int seg, int tap, int taps, int first, int n, int c_lo, int64_t word) {
  const SegmentView& view = a.segs[seg];
  const int kx = tap % s.kw, ky = tap / s.kw % s.kh, j = tap / (s.kw * s.kh);
  if (view.taps[j] == nullptr) return;
  QuadRun& r = runs[n_runs++];
  r.dy = ky * s.dh - s.ph;
  r.base = reinterpret_cast<const char*>(view.taps[j]) + r.dy * view.g.row_stride +
           (kx * s.dw - s.pw) * view.g.pixel_stride + first - c_lo;
  r.weight = word;
  r.words = words_of(n * taps);
  r.row_step = view.g.row_stride * s.sh;
  r.pixel_step = view.g.pixel_stride * s.sw;
  r.flips = flips(view.g.dtype);
}

// Collects runs from place `lo` on.
void QuadConv::fill(int group, int lo, int64_t max_bytes) {
  const int step = merges ? s.kw : 1;
  int tap = lo / s.n_segs, seg = lo % s.n_segs, c_lo = 0;
  const int g_lo = group * blocks.ic, g_hi = g_lo + blocks.ic;
  int64_t word = static_cast<int64_t>(blocks.lines ? tap / s.kw : tap) * blocks.tap_words;
  for (int i = 0; i < seg; ++i) {
    const int n = imin(c_lo + s.seg_c[i], g_hi) - imax(c_lo, g_lo);
    if (n > 0) word += words_of(n);
    c_lo += s.seg_c[i];
  }
  int64_t bytes = 0;
  n_runs = 0;
  chunk_group = group;
  while (tap < s.kt * s.kh * s.kw && bytes < max_bytes && n_runs < kMaxQuadRuns) {
    const int first = imax(c_lo, g_lo), n = imin(c_lo + s.seg_c[seg], g_hi) - first;
    const int before = n_runs;
    if (n > 0) {
      add_run(seg, tap, step, first, n, c_lo, word);
      word += words_of(n);
    }
    if (n_runs > before) bytes += int64_t{runs[before].words} * kBlock * 4 * kWordParts;
    c_lo += s.seg_c[seg];
    if (++seg == s.n_segs) {
      seg = 0, c_lo = 0, tap += step;
      word = static_cast<int64_t>(blocks.lines ? tap / s.kw : tap) * blocks.tap_words;
    }
  }
  chunk_lo = lo;
  chunk_hi = tap * s.n_segs + seg;
  chunk_whole = lo == 0 && chunk_hi == places();
}

// What is to be taken from the sums because elements are read with flipped bits.
void QuadConv::set_begin(const float* packed, int width) {
  const auto* const corrections = reinterpret_cast<const int32_t*>(packed + 2 * width);
  for (int o = 0; o < width; ++o) begin[o] = 0;
  for (int seg = 0; seg < s.n_segs; ++seg) {
    if (!flips(a.segs[seg].g.dtype)) continue;
    for (int j = 0; j < s.kt; ++j) {
      if (a.segs[seg].taps[j] == nullptr) continue;
      const int32_t* of = corrections + (static_cast<int64_t>(seg) * s.kt + j) * width;
      for (int o = 0; o < width; ++o) begin[o] += kSignedProducts ? of[o] : -of[o];
    }
  }
}

// Channel c of pixel (0, 0) of the map that is added; nullptr: it reads as 0.
inline const char* residual_bytes(const ConvArgs& a, int c) {
  if (a.residual.data == nullptr) return nullptr;
  return reinterpret_cast<const char*>(a.residual.data) + c * element_bytes(a.residual.g.dtype);
}

// A batch of groups and a block of channels, as GroupPass.
struct QuadPass {
  QuadArgs& m;
  char* out;
  const char* residual;
  const char* next;
  int64_t share;
  int64_t element, residual_element;  // bytes
  bool in_registers = false;          // else the sums are kept
  int asking = 0, pairs = 0;
  char* out_of(const PixelGroup& at) const { return out + at.out * element; }
  const char* residual_of(const PixelGroup& at) const {
    return residual == nullptr ? nullptr : residual + at.residual * residual_element;
  }
};

// As run_groups.
void QuadConv::run_quad_groups(QuadPass& pass, int lo, int hi, QuadMicro one, QuadMicro two) {
  QuadArgs& m = pass.m;
  for (int i = lo; i < hi; i += 2, ++pass.pairs) {
    const int pair = imin(2, hi - i);
    for (int g = 0; g < pair; ++g) {
      const PixelGroup& at = groups[i + g];
      m.y[g] = at.y;
      m.x[g] = at.x;
      m.out[g] = pass.in_registers ? pass.out_of(at) : nullptr;
      m.residual[g] = pass.residual_of(at);
      m.scratch[g] = scratch_of(i + g);
    }
    m.prefetch = pass.pairs < pass.asking ? pass.next + pass.pairs * pass.share : nullptr;
    (pair == 2 ? two : one)(m);
  }
}

void QuadConv::batch(int block, const GroupBatch& of) {
  const int j = block % blocks.per_group;
  if (blocks.vecs(j) > 0) batch_vectors(block, of);
#ifdef PVNET_DOT_BYTES
  if (blocks.narrow(j) > 0) batch_narrow(block, of);
#endif
}

#ifdef PVNET_DOT_BYTES
// Groups one by one: all of the few weights stay in the nearest cache.
void QuadConv::batch_narrow(int block, const GroupBatch& of) {
  const int group = block / blocks.per_group, j = block % blocks.per_group;
  const int width = blocks.vecs(j) * kVecWidth, narrow = blocks.narrow(j);
  const float* packed =
      a.packed + group * blocks.group_floats + blocks.offset(j) + blocks.rows * width;
  const int oc = group * blocks.oc + j * kBlock + width;
  const int64_t element = element_bytes(end.g.dtype);
  alignas(64) float scale[kVecWidth] = {}, bias[kVecWidth] = {};
  int32_t first[kMostNarrow] = {};
  for (int o = 0; o < narrow; ++o) {
    const float* const channel = packed + blocks.rows * o;
    set_begin(channel, 1);
    scale[o] = channel[0], bias[o] = channel[1], first[o] = begin[0];
  }
  end.scale = scale;
  end.bias = bias;
  end.channels = narrow;
  const bool floats = end.g.dtype == Dtype::f32 && end.limits && !s.residual;
  const NarrowPlaces places_of = floats ? NarrowPlaces{1, kGroupRow} : NarrowPlaces{kVecWidth, 1};
  QuadArgs m;
  m.in_h = s.in_h;
  m.sh = s.sh;
  for (int lo = 0; lo < places(); lo = chunk_hi) {
    if (!(lo == 0 && chunk_whole && chunk_group == group)) fill(group, lo, INT64_MAX);
    m.runs = runs;
    m.n_runs = n_runs;
    for (int i = 0; i < of.n; ++i) {
      const PixelGroup& at = groups[i];
      const int pixels = of.pixels(i);
      m.y[0] = at.y;
      m.x[0] = at.x;
      m.scratch[0] = scratch_of(i);
      for (int p = 0; p < pixels && lo == 0; ++p) {
        for (int o = 0; o < narrow; ++o) {
          m.scratch[0][p * places_of.pixel + o * places_of.channel] = first[o];
        }
      }
      kQuadNarrow[pixels - 1][narrow - 1](m, packed + blocks.heads, blocks.rows, places_of);
      if (chunk_hi < places()) continue;
      char* const out = reinterpret_cast<char*>(a.out.data) + (at.out + oc) * element;
      if (floats) {
        finish_narrow_floats(end, m.scratch[0], pixels, reinterpret_cast<float*>(out));
        continue;
      }
      const char* residual = s.residual ? residual_bytes(a, oc) : nullptr;
      if (residual != nullptr) residual += at.residual * element_bytes(end.residual_g.dtype);
      finish_from_scratch(end, {m.scratch[0], pixels, 1, s.residual, out, residual});
    }
  }
}
#endif

void QuadConv::batch_vectors(int block, const GroupBatch& of) {
  const int group = block / blocks.per_group, j = block % blocks.per_group;
  const int vecs = blocks.vecs(j), width = vecs * kVecWidth;
  const float* packed = a.packed + group * blocks.group_floats + blocks.offset(j);
  const int oc = group * blocks.oc + j * kBlock;
  const int64_t max_bytes = of.n <= 2 ? INT64_MAX : kQuadChunkBytes;
  const int64_t element = element_bytes(end.g.dtype);
  set_begin(packed, width);
  end.scale = packed;
  end.bias = packed + width;
  end.channels = imin(blocks.channels(j), width);
  QuadArgs m;
  m.weight = reinterpret_cast<const uint32_t*>(packed) + blocks.heads * width;
  m.in_h = s.in_h;
  m.sh = s.sh;
  m.end = &end;
  // Results of registers are by limits alone, and of 8 bits if they are sums.
  const bool sums = s.residual && end.bytes && a.residual.data != nullptr && vecs == kBlockVecs &&
                    (end.channels == width || has_room(oc + width));
  const bool plain = !s.residual && end.limits;
  for (int lo = 0; lo < places(); lo = chunk_hi) {
    if (!(lo == 0 && chunk_whole && chunk_group == group)) fill(group, lo, max_bytes);
    m.runs = runs;
    m.n_runs = n_runs;
    m.begin = lo == 0 ? begin : nullptr;
    const bool last = chunk_hi == places();
    // In words: where this chunk begins and ends.
    const int64_t from = n_runs > 0 ? runs[0].weight : 0;
    const int64_t to = n_runs > 0 ? runs[n_runs - 1].weight + runs[n_runs - 1].words : 0;
    const int64_t word_bytes = int64_t{4} * width * kWordParts;
    const int64_t share = (to - from) * word_bytes / kQuadPasses;
    const char* next = reinterpret_cast<const char*>(m.weight) + to * word_bytes;
    QuadPass pass{m,
                  reinterpret_cast<char*>(a.out.data) + oc * element,
                  nullptr,
                  next,
                  share,
                  element,
                  element_bytes(end.residual_g.dtype)};
    if (last && s.residual) pass.residual = residual_bytes(a, oc);
    pass.asking = of.n > 2 ? kQuadPasses : 0;
    for (int i = 0; i < of.n; i = of.end_of_size(i)) {
      const int pixels = of.pixels(i), fewer = kGroupPixels - pixels;
      const bool added = last && sums && fewer <= 1;
      pass.in_registers = (last && plain) || added;
      const auto& micro = kQuadMicro[pixels - 1];
      run_quad_groups(pass, i, of.end_of_size(i),
                      added ? kQuadMicroSums[fewer][0] : micro[0][vecs - 1],
                      added ? kQuadMicroSums[fewer][1] : micro[1][vecs - 1]);
      if (!last || pass.in_registers) continue;
      for (int k = i; k < of.end_of_size(i); ++k) {
        finish_from_scratch(end, {scratch_of(k), pixels, vecs, s.residual, pass.out_of(groups[k]),
                                  pass.residual_of(groups[k])});
      }
    }
  }
}

void conv_quads(const ConvArgs& a, int lo, int hi) {
  QuadConv c(a);
  run_tiles(c, input_elements(a), lo, hi);
}
