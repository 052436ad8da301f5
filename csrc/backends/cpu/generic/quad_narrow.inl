// SPDX-License-Identifier: Apache-2.0
// The last one or two channels of a convolution over maps of 8 bits, as conv_narrow.inl has them
// over floats: vectors are of words of input channels.

typedef uint32_t words_anywhere __attribute__((vector_size(4 * kVecWidth), aligned(1), may_alias));

// n words, at most a vector. Wide vectors have masks; a loop over floats may not read bytes.
inline ivec words_at(const char* p, int n) {
  if (n >= kVecWidth) return (ivec) * reinterpret_cast<const words_anywhere*>(p);
  if constexpr (kVecWidth >= 8) return (ivec)load_partial(reinterpret_cast<const float*>(p), n);
  ivec words = {};
  __builtin_memcpy(&words, p, static_cast<size_t>(n) * 4);
  return words;
}

template <bool FLIPS, int N, int OUTS>
__attribute__((always_inline)) inline void add_words(ivec (&acc)[N][OUTS], const char* a,
                                                     int64_t step, const float* weight,
                                                     int64_t weight_step, int n) {
  ivec w[OUTS];
#pragma GCC unroll 2
  for (int o = 0; o < OUTS; ++o) {
    w[o] = words_at(reinterpret_cast<const char*>(weight + o * weight_step), n);
  }
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
    ivec x = words_at(a + p * step, n);
    if constexpr (FLIPS) x ^= static_cast<int32_t>(0x80808080);  // of no weight beyond n
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o) acc[p][o] = dot_bytes(acc[p][o], x, w[o]);
  }
}

// Where the sum of a channel of a pixel lies: in vectors of channels, or of pixels.
struct NarrowPlaces {
  int pixel, channel;
};

// Sums of the first group of m, added to those in its scratch. weight: [words] of every channel, so
// far apart.
template <int N, int OUTS>
void quad_narrow(const QuadArgs& m, const float* weight, int64_t weight_step, NarrowPlaces at) {
  ivec acc[N][OUTS];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o) acc[p][o] = ivec{};
  }
  const int in_y = m.y[0] * m.sh;
  for (const QuadRun *run = m.runs, *end = run + m.n_runs; run != end; ++run) {
    // Corrections count rows of padding, too.
    const bool inside = static_cast<unsigned>(in_y + run->dy) < static_cast<unsigned>(m.in_h);
    if (!run->flips && !inside) continue;
    const int64_t step = run->pixel_step;
    const char* a = run->base + m.y[0] * run->row_step + m.x[0] * step;
    const float* w = weight + run->weight;
    for (int i = run->words; i > 0; i -= kVecWidth, a += 4 * kVecWidth, w += kVecWidth) {
      if (run->flips) {
        add_words<true>(acc, a, step, w, weight_step, i);
      } else {
        add_words<false>(acc, a, step, w, weight_step, i);
      }
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o) m.scratch[0][p * at.pixel + o * at.channel] += total(acc[p][o]);
  }
}

// A group of pixels, as whole vectors.
constexpr int kGroupVectors = (kGroupPixels + kVecWidth - 1) / kVecWidth;
constexpr int kGroupRow = kGroupVectors * kVecWidth;

// Of channels that are computed apart: sums [channel][kGroupRow], into floats.
void finish_narrow_floats(const QuadEnd& end, const int32_t* sums, int pixels, float* out) {
  const int64_t step = end.g.pixel_stride;
  const vec low = splat(end.low), high = splat(end.high);
  for (int o = 0; o < end.channels; ++o, sums += kGroupRow) {
    alignas(64) float of[kGroupRow];
    for (int v = 0; v < kGroupVectors; ++v) {
      const vec x = as_floats(*reinterpret_cast<const ivec_unaligned*>(sums + v * kVecWidth));
      const vec y = exact_fma(x, splat(end.scale[o]), splat(end.bias[o]));
      store(of + v * kVecWidth, vclamp(y, low, high));
    }
    for (int p = 0; p < pixels; ++p) out[p * step + o] = of[p];
  }
}

using QuadNarrow = void (*)(const QuadArgs&, const float*, int64_t, NarrowPlaces);
#define PVNET_QUAD_NARROW(n) {quad_narrow<n, 1>, quad_narrow<n, 2>}
// [pixels of a group - 1][channels - 1]
constexpr QuadNarrow kQuadNarrow[kGroupPixels][kMostNarrow] = {
    PVNET_QUAD_NARROW(1), PVNET_QUAD_NARROW(2), PVNET_QUAD_NARROW(3),
#ifdef PVNET_WIDE_GROUPS
    PVNET_QUAD_NARROW(4), PVNET_QUAD_NARROW(5), PVNET_QUAD_NARROW(6), PVNET_QUAD_NARROW(7),
#endif
};
#undef PVNET_QUAD_NARROW
