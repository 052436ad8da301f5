// SPDX-License-Identifier: Apache-2.0
// Direct convolution over maps of 8 bits, around the register tile of quad_micro.inl.
//
// Loops: block of output channels / batch of pixel groups / chunk of the window / pair of groups.
// The first two are the other way round where the input is large: weights stream well, pixels do
// not. A chunk is as many runs as have weights that stay in the L2 cache while the batch goes over
// them. Between chunks the sums wait in a scratch on the stack.

constexpr int kMaxQuadRuns = 384;
constexpr int64_t kQuadChunkBytes = 64 * 1024;

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
  alignas(64) int32_t begin[kBlock];
  alignas(64) int32_t scratch[kBatchGroups * kGroupPixels * kBlock];

  explicit QuadConv(const ConvArgs& args);
  // Whether channels up to `end_c` may be stored and read in pixels of both maps.
  bool has_room(int end_c) const {
    return s.groups == 1 && end_c <= end.g.pixel_stride && end_c <= end.residual_g.pixel_stride;
  }
  int places() const { return s.n_segs * s.kt * s.kh * s.kw; }
  void add_run(int seg, int tap, int taps, int first, int n, int c_lo, int64_t word);
  void fill(int group, int lo, int64_t max_bytes);
  void set_begin(const float* packed, int width);
  void batch(int block, int n_big, int n, int big);
  void batch_vectors(int block, int n_big, int n, int big);
  void batch_narrow(int block, int n_big, int n, int big);
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
  r.sign = view.g.dtype == Dtype::int8;
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

// What is to be taken from the sums because of what is added to elements with a sign.
void QuadConv::set_begin(const float* packed, int width) {
  const auto* const corrections = reinterpret_cast<const int32_t*>(packed + 2 * width);
  for (int o = 0; o < width; ++o) begin[o] = 0;
  for (int seg = 0; seg < s.n_segs; ++seg) {
    if (a.segs[seg].g.dtype != Dtype::int8) continue;
    for (int j = 0; j < s.kt; ++j) {
      if (a.segs[seg].taps[j] == nullptr) continue;
      const int32_t* of = corrections + (static_cast<int64_t>(seg) * s.kt + j) * width;
      for (int o = 0; o < width; ++o) begin[o] -= of[o];
    }
  }
}

// Pixel (y, x), channel c of the map that is added; nullptr: it reads as 0.
inline const char* residual_bytes(const ConvArgs& a, int64_t y, int64_t x, int c) {
  const MapGeometry& g = a.residual.g;
  if (a.residual.data == nullptr) return nullptr;
  return reinterpret_cast<const char*>(a.residual.data) +
         (y * g.row_stride + x * g.pixel_stride + c) * element_bytes(g.dtype);
}

// The first n_big of the n groups have `big` pixels, the others one fewer.
void QuadConv::batch(int block, int n_big, int n, int big) {
  const int j = block % blocks.per_group;
  if (blocks.vecs(j) > 0) batch_vectors(block, n_big, n, big);
#ifdef PVNET_DOT_BYTES
  if (blocks.narrow(j) > 0) batch_narrow(block, n_big, n, big);
#endif
}

#ifdef PVNET_DOT_BYTES
// Groups one by one: all of the few weights stay in the nearest cache.
void QuadConv::batch_narrow(int block, int n_big, int n, int big) {
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
  const NarrowPlaces places_of = floats ? NarrowPlaces{1, kVecWidth} : NarrowPlaces{kVecWidth, 1};
  QuadArgs m;
  m.in_h = s.in_h;
  m.sh = s.sh;
  for (int lo = 0; lo < places(); lo = chunk_hi) {
    if (!(lo == 0 && chunk_whole && chunk_group == group)) fill(group, lo, INT64_MAX);
    m.runs = runs;
    m.n_runs = n_runs;
    for (int i = 0; i < n; ++i) {
      const PixelGroup& at = groups[i];
      const int pixels = i < n_big ? big : big - 1;
      m.y[0] = at.y;
      m.x[0] = at.x;
      m.scratch[0] = scratch + static_cast<int64_t>(i) * kGroupPixels * kBlock;
      for (int p = 0; p < pixels && lo == 0; ++p) {
        for (int o = 0; o < narrow; ++o) {
          m.scratch[0][p * places_of.pixel + o * places_of.channel] = first[o];
        }
      }
      kQuadNarrow[pixels - 1][narrow - 1](m, packed + blocks.heads, blocks.rows, places_of);
      if (chunk_hi < places()) continue;
      char* const out = reinterpret_cast<char*>(a.out.data) +
                        (at.y * end.g.row_stride + at.x * end.g.pixel_stride + oc) * element;
      if (floats) {
        finish_narrow_floats(end, m.scratch[0], pixels, reinterpret_cast<float*>(out));
        continue;
      }
      const char* const residual = s.residual ? residual_bytes(a, at.y, at.x, oc) : nullptr;
      finish_from_scratch(end, {m.scratch[0], pixels, 1, s.residual, out, residual});
    }
  }
}
#endif

void QuadConv::batch_vectors(int block, int n_big, int n, int big) {
  const int group = block / blocks.per_group, j = block % blocks.per_group;
  const int vecs = blocks.vecs(j), width = vecs * kVecWidth;
  const float* packed = a.packed + group * blocks.group_floats + blocks.offset(j);
  const int oc = group * blocks.oc + j * kBlock;
  const int64_t max_bytes = n <= 2 ? INT64_MAX : kQuadChunkBytes;
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
    int pass = 0;
    for (int i = 0; i < n; ++pass) {
      const int pixels = i < n_big ? big : big - 1;
      const int pair = i + 1 < (i < n_big ? n_big : n) ? 2 : 1;
      const int fewer = kGroupPixels - pixels;
      const bool adds = last && s.residual;
      const bool in_registers = last && (plain || (sums && fewer <= 1));
      char* out[2];
      for (int g = 0; g < pair; ++g) {
        const PixelGroup& at = groups[i + g];
        m.y[g] = at.y;
        m.x[g] = at.x;
        out[g] = reinterpret_cast<char*>(a.out.data) +
                 (at.y * end.g.row_stride + at.x * end.g.pixel_stride + oc) * element;
        m.out[g] = in_registers ? out[g] : nullptr;
        m.residual[g] = adds ? residual_bytes(a, at.y, at.x, oc) : nullptr;
        m.scratch[g] = scratch + static_cast<int64_t>(i + g) * kGroupPixels * kBlock;
      }
      m.prefetch = pass < kQuadPasses && n > 2 ? next + pass * share : nullptr;
      if (adds && in_registers) {
        kQuadMicroSums[fewer][pair - 1](m);
      } else {
        kQuadMicro[pixels - 1][pair - 1][vecs - 1](m);
      }
      for (int g = 0; g < pair && last && !in_registers; ++g) {
        finish_from_scratch(end, {m.scratch[g], pixels, vecs, adds, out[g], m.residual[g]});
      }
      i += pair;
    }
  }
}

void conv_quads(const ConvArgs& a, int lo, int hi) {
  QuadConv c(a);
  run_tiles(c, input_elements(a), lo, hi);
}
