// SPDX-License-Identifier: Apache-2.0
// The last one or two channels of a convolution over bf16, as conv_narrow.inl has them over floats:
// vectors are of words of input channels. Windows are one pixel wide, so that the words of a run do
// not depend on how a map lies in memory.

typedef uint32_t words_anywhere __attribute__((vector_size(4 * kVecWidth), aligned(2), may_alias));

// What a step reads of a pixel, or of weights: n words, at most a vector, or one half of a word.
struct Words {
  int n;
  uvec operator()(const char* p) const {
    if (n >= kVecWidth) return *reinterpret_cast<const words_anywhere*>(p);
#ifdef PVNET_MASKED_ELEMENTS
    return (uvec)load_partial(reinterpret_cast<const float*>(p), n);
#else
    uvec words = {};
    __builtin_memcpy(&words, p, static_cast<size_t>(n) * 4);
    return words;
#endif
  }
};
struct FirstHalf {
  int shift;
  uvec operator()(const char* p) const {
    uvec words = {};
    words[0] = HalfWord{shift}(p);
    return words;
  }
};

template <class Read, int N, int OUTS>
__attribute__((always_inline)) inline void add_words(vec (&acc)[N][OUTS], Read read, const char* a,
                                                     int64_t step, const float* weight,
                                                     int64_t weight_step, int n) {
  uvec w[OUTS];
#pragma GCC unroll 2
  for (int o = 0; o < OUTS; ++o) {
    w[o] = Words{n}(reinterpret_cast<const char*>(weight + o * weight_step));
  }
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
    const uvec x = read(a + p * step);
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o) acc[p][o] = dot(acc[p][o], x, w[o]);
  }
}

// One group of N pixels, the first of m; m.out_channels is OUTS.
template <int N, int OUTS>
void pair_narrow(const PairArgs& m, const NarrowWeights& weights) {
  vec acc[N][OUTS];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o) {
      acc[p][o] = weights.begins ? splat(0.0f) : load(m.scratch[0] + (p * OUTS + o) * kVecWidth);
    }
  }
  const int in_y = m.y[0] * m.sh;
  for (const PairRun *run = m.runs, *end = run + m.n_runs; run != end; ++run) {
    if (static_cast<unsigned>(in_y + run->dy) >= static_cast<unsigned>(m.in_h)) continue;
    const int64_t step = run->pixel_step;
    const char* a = run->base + m.y[0] * run->row_step + m.x[0] * step;
    const float* w = weights.first + 1 + run->weight;
    if (run->lead) {
      add_words(acc, FirstHalf{16}, a, step, w, weights.step, 1);
      a += 2;
      ++w;
    }
    int i = run->words;
    for (; i >= kVecWidth; i -= kVecWidth, a += 4 * kVecWidth, w += kVecWidth) {
      add_words(acc, Words{kVecWidth}, a, step, w, weights.step, kVecWidth);
    }
    if (i > 0) add_words(acc, Words{i}, a, step, w, weights.step, i);
    if (run->tail) {
      add_words(acc, FirstHalf{0}, a + int64_t{4} * i, step, w + i, weights.step, 1);
    }
  }
  if (m.out[0] == nullptr) return keep_sums<N, OUTS>(acc, m.scratch[0]);
  vec sums[N][1];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
    sums[p][0] = vec{};
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o) {
      sums[p][0][o] = weights.first[o * weights.step] + total(acc[p][o]);
    }
  }
  finish_pairs<N, 1>(sums, m, 0);
}

using PairNarrow = void (*)(const PairArgs&, const NarrowWeights&);
#define PVNET_PAIR_NARROW(n) {pair_narrow<n, 1>, pair_narrow<n, 2>}
// [pixels of a group - 1][channels - 1]
constexpr PairNarrow kPairNarrow[kGroupPixels][kMostNarrow] = {
    PVNET_PAIR_NARROW(1), PVNET_PAIR_NARROW(2), PVNET_PAIR_NARROW(3),
#ifdef PVNET_WIDE_GROUPS
    PVNET_PAIR_NARROW(4), PVNET_PAIR_NARROW(5), PVNET_PAIR_NARROW(6), PVNET_PAIR_NARROW(7),
#endif
};
#undef PVNET_PAIR_NARROW
