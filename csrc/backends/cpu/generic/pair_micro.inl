// SPDX-License-Identifier: Apache-2.0
// The register tile over bf16: GROUPS groups of N neighbouring pixels x VECS vectors of output
// channels, the products of two input channels a step.
//
//   sum[pixel][oc] += over runs, over words: dot(in[pixel][word], weight[run][word][oc])
//
// A run is a piece of a line of the window (pair_layout.inl) that lies in one piece in a segment.
// Where it begins or ends inside a word, the other half is taken for 0. The pixels of a group lie
// in one row, at one constant distance. So two base pointers and three multiples of the distance
// address all of them. The groups of a tile may lie in different rows.
//
// The order of the sum of an output element is that of the runs and words, in every variant: its
// bits do not depend on the tile it was computed in. Variants differ only in which all-zero rows
// they omit, which could turn a -0 into a +0; adding 0 at the end removes that.

struct PairRun {
  const char* base;  // input of output pixel (0, 0)
  int64_t weight;    // offset in the block, in words of an output channel
  int64_t row_step;  // bytes from output row to output row, and from pixel to pixel
  int64_t pixel_step;
  int words;        // whole ones
  bool lead, tail;  // an element before them, in a high half, and behind them, in a low one
  int dy;           // input row of output row 0

  int64_t all_words() const { return words + (lead ? 1 : 0) + (tail ? 1 : 0); }
};

struct PairArgs {
  const PairRun* runs;
  int n_runs;
  const float* bias;  // nullptr: continue from the scratch
  const uint32_t* weight;
  const char* prefetch;  // weights of the next chunk, or nullptr
  int in_h, sh;
  int y[2], x[2];           // first output pixel of each group
  int next_y, next_x;       // and of those that come next
  elem* out[2];             // nullptr in both: the sum is not complete, keep it in the scratch
  int64_t out_stride;       // elements from pixel to pixel
  bool adds;                // a residual, which may read as 0
  const elem* residual[2];  // where; nullptr: it reads as 0
  int64_t residual_stride;
  int out_channels;
  Act act;
  ActNumbers numbers;
  bool limited;  // the activation is nothing but limits
  Limits limits;
  float* scratch[2];  // [pixel][VECS vectors]
};

typedef uint32_t word_unaligned __attribute__((aligned(2), may_alias));
typedef uint16_t half_of_word __attribute__((may_alias));

// What a step reads of a pixel: a word, or one element as a half of one.
struct WholeWord {
  uint32_t operator()(const char* p) const { return *reinterpret_cast<const word_unaligned*>(p); }
};
struct HalfWord {
  int shift;
  uint32_t operator()(const char* p) const {
    return uint32_t{*reinterpret_cast<const half_of_word*>(p)} << shift;
  }
};

template <int I>
inline const char* pair_at(const char* a, int64_t s, int64_t s3, int64_t s5) {
  static_assert(I <= 6);
  if constexpr (I == 3) return a + s3;
  if constexpr (I == 5) return a + s5;
  if constexpr (I == 6) return a + 2 * s3;
  return a + I * s;
}

// One step for pixels I .. N - 1 of one group. HALF: of the last vector only the lower half is
// needed.
template <int I, bool HALF, int N, int VECS, class Read>
__attribute__((always_inline)) inline void accumulate_pairs(vec (&acc)[N][VECS],
                                                            const uvec (&w)[VECS], Read read,
                                                            const char* a, int64_t s, int64_t s3,
                                                            int64_t s5) {
  if constexpr (I < N) {
    const uvec x = splat_word(read(pair_at<I>(a, s, s3, s5)));
#pragma GCC unroll 4
    for (int v = 0; v < VECS - (HALF ? 1 : 0); ++v) acc[I][v] = dot(acc[I][v], x, w[v]);
    if constexpr (HALF) acc[I][VECS - 1] = half_dot(acc[I][VECS - 1], x, w[VECS - 1]);
    accumulate_pairs<I + 1, HALF, N, VECS>(acc, w, read, a, s, s3, s5);
  }
}

template <bool HALF, int GROUPS, int N, int VECS, class Read>
__attribute__((always_inline)) inline void word_step(vec (&acc)[GROUPS][N][VECS],
                                                     const uint32_t* weight, Read read,
                                                     const char* a0, const char* a1, int64_t s,
                                                     int64_t s3, int64_t s5) {
  uvec w[VECS];
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) w[v] = load_words(weight + v * kVecWidth);
  accumulate_pairs<0, HALF, N, VECS>(acc[0], w, read, a0, s, s3, s5);
  if constexpr (GROUPS == 2) accumulate_pairs<0, HALF, N, VECS>(acc[1], w, read, a1, s, s3, s5);
}

template <int N, int VECS>
__attribute__((always_inline)) inline void init_pairs(vec (&acc)[N][VECS], const float* from,
                                                      int step) {
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) acc[p][v] = load(from + p * step + v * kVecWidth);
  }
}

template <int N, int VECS>
__attribute__((always_inline)) inline void add_pair_residual(vec (&acc)[N][VECS], const PairArgs& m,
                                                             int g) {
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      const elem* from = m.residual[g];
      if (from != nullptr) from += p * m.residual_stride + v * kVecWidth;
      acc[p][v] = with_residual(acc[p][v] + splat(0.0f), from, m.out_channels - v * kVecWidth);
    }
  }
}

// Of the vectors of a pixel the first n elements.
template <int N, int VECS>
__attribute__((always_inline)) inline void finish_limited(vec (&acc)[N][VECS], const PairArgs& m,
                                                          elem* out, int n) {
  const vec low = splat(m.limits.low), high = splat(m.limits.high);
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, out += m.out_stride) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) acc[p][v] = vclamp(acc[p][v] + splat(0.0f), low, high);
    store_vectors(out, acc[p], n);
  }
}

template <int N, int VECS>
__attribute__((always_inline)) inline void finish_pairs(vec (&acc)[N][VECS], const PairArgs& m,
                                                        int g) {
  elem* const out = m.out[g];
  constexpr int kAll = VECS * kVecWidth;
  if (out == nullptr) return keep_sums<N, VECS>(acc, m.scratch[g]);
  if (m.adds) add_pair_residual<N, VECS>(acc, m, g);
  if (!m.limited) {
    alignas(64) float sums[N * kAll];
    keep_sums<N, VECS>(acc, sums);
    finish_activated(m, sums, N, VECS, out);
  } else if (m.out_channels >= kAll) {
    finish_limited<N, VECS>(acc, m, out, kAll);
  } else {
    finish_limited<N, VECS>(acc, m, out, m.out_channels);
  }
}

// Each of the first passes over a chunk of weights asks for its share of the next chunk, which lies
// behind it: without that the first pass waits for memory.
constexpr int kPairPasses = 4;

template <int GROUPS, int N, int VECS, bool HALF = false>
void pair_micro(const PairArgs& m) {
  constexpr int kWidth = VECS * kVecWidth;
  constexpr int kUnroll = 4;
  constexpr int kPairBytes = kUnroll * kWidth * 4 / kPairPasses;
  constexpr int kPixelBytes = GROUPS * N * kUnroll * 4;  // where pixels have no other channels
#pragma GCC unroll 2
  for (int g = 0; g < GROUPS; ++g) {
    fetch_pixels<N, kWidth * 2>(m.residual[g], m.residual_stride * 2);
    fetch_pixels<N, kWidth * 2>(m.out[g], m.out_stride * 2);
  }
  vec acc[GROUPS][N][VECS];
  if (m.bias != nullptr) {
    init_pairs<N, VECS>(acc[0], m.bias, 0);
    if constexpr (GROUPS == 2) init_pairs<N, VECS>(acc[1], m.bias, 0);
  } else {
    init_pairs<N, VECS>(acc[0], m.scratch[0], kWidth);
    if constexpr (GROUPS == 2) init_pairs<N, VECS>(acc[1], m.scratch[1], kWidth);
  }
  const int in_y0 = m.y[0] * m.sh, in_y1 = m.y[GROUPS - 1] * m.sh;
  for (const PairRun *run = m.runs, *end = run + m.n_runs; run != end; ++run) {
    const unsigned h = static_cast<unsigned>(m.in_h);
    if (static_cast<unsigned>(in_y0 + run->dy) >= h &&
        static_cast<unsigned>(in_y1 + run->dy) >= h) {
      continue;  // only padding
    }
    const int64_t row = run->row_step;
    int64_t s = run->pixel_step, s3 = 3 * s, s5 = 5 * s;
    const char* a0 = run->base + m.y[0] * row + m.x[0] * s;
    const char* a1 = run->base + m.y[GROUPS - 1] * row + m.x[GROUPS - 1] * s;
    const uint32_t* w = m.weight + run->weight * kWidth;
    const int64_t weight_bytes = (run->weight - m.runs->weight) * kWidth * 4;
    const char* ahead = m.prefetch != nullptr ? m.prefetch + weight_bytes / kPairPasses
                                              : reinterpret_cast<const char*>(w);
    const char* pixels = run->base + m.next_y * row + m.next_x * s;
    if (run->lead) {
      word_step<HALF, GROUPS, N, VECS>(acc, w, HalfWord{16}, a0, a1, s, s3, s5);
      a0 += 2;
      a1 += 2;
      w += kWidth;
    }
    // The empty asm hides that these are multiples and induction variables; otherwise the compiler
    // makes one pointer per pixel and spills them.
    __asm__("" : "+r"(s), "+r"(s3), "+r"(s5));
    int i = run->words;
    for (; i >= kUnroll; i -= kUnroll) {
      __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
      fetch_bytes<kPairBytes>(ahead);
      ahead += kPairBytes;
      fetch_bytes<kPixelBytes>(pixels);
      pixels += kPixelBytes;
#pragma GCC unroll 4
      for (int k = 0; k < kUnroll; ++k) {
        __asm__("" : "+r"(s), "+r"(s3), "+r"(s5));
        word_step<HALF, GROUPS, N, VECS>(acc, w + k * kWidth, WholeWord{}, a0 + 4 * k, a1 + 4 * k,
                                         s, s3, s5);
      }
      a0 += 4 * kUnroll;
      a1 += 4 * kUnroll;
      w += kUnroll * kWidth;
    }
    for (; i > 0; --i) {
      __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
      word_step<HALF, GROUPS, N, VECS>(acc, w, WholeWord{}, a0, a1, s, s3, s5);
      a0 += 4;
      a1 += 4;
      w += kWidth;
    }
    if (run->tail) word_step<HALF, GROUPS, N, VECS>(acc, w, HalfWord{0}, a0, a1, s, s3, s5);
  }
  finish_pairs<N, VECS>(acc[0], m, 0);
  if constexpr (GROUPS == 2) finish_pairs<N, VECS>(acc[1], m, 1);
}

using PairMicro = void (*)(const PairArgs&);

#define PVNET_PAIR_MICRO_VECS(groups, n) \
  {pair_micro<groups, n, 1>, pair_micro<groups, n, 2>, pair_micro<groups, n, 2, kHalfDots>}
#define PVNET_PAIR_MICRO(n) {PVNET_PAIR_MICRO_VECS(1, n), PVNET_PAIR_MICRO_VECS(2, n)}
// [pixels of a group - 1][groups - 1][vectors - 1, and one and a half]
constexpr PairMicro kPairMicro[kGroupPixels][2][kBlockVecs + 1] = {
    PVNET_PAIR_MICRO(1), PVNET_PAIR_MICRO(2), PVNET_PAIR_MICRO(3),
#ifdef PVNET_WIDE_GROUPS
    PVNET_PAIR_MICRO(4), PVNET_PAIR_MICRO(5), PVNET_PAIR_MICRO(6), PVNET_PAIR_MICRO(7),
#endif
};
#undef PVNET_PAIR_MICRO
#undef PVNET_PAIR_MICRO_VECS
