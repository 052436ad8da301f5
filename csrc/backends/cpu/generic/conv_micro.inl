// SPDX-License-Identifier: Apache-2.0
// The register tile: GROUPS groups of N neighbouring pixels x VECS vectors of output channels.
//
//   out[pixel][oc] += sum over runs, over ic: in[pixel][ic] * weight[run][ic][oc]
//
// A run is one spatial and temporal tap of one segment. The pixels of a group lie in one row, at
// one constant distance. So two base pointers and three multiples of the distance address all of
// them: 14 pointers would not fit the registers. The groups of a tile may lie in different rows.
//
// The order of the sum of an output element is that of the runs and channels. It is the same in
// every variant, so that its bits do not depend on the tile it was computed in. Variants differ
// only in which all-zero rows they omit, which could turn a -0 into a +0; adding 0 at the end
// removes that.

struct Run {
  const char* base;  // input of output pixel (0, 0)
  int64_t weight;    // offset in the block, in units of its width
  int64_t row_step;  // bytes from output row to output row, and from pixel to pixel
  int64_t pixel_step;
  int channels;      // reduction steps
  int tap_channels;  // of one of the taps that it is of
  int dy;            // input row of output row 0
};

struct MicroArgs {
  const Run* runs;
  int n_runs;
  const float* bias;  // nullptr: continue from the scratch
  const float* weight;
  const char* prefetch;  // weights of the next chunk, or nullptr
  int in_h, sh;
  int y[2], x[2];            // first output pixel of each group
  int next_y, next_x;        // and of those that come next
  float* out[2];             // nullptr in both: the sum is not complete, keep it in the scratch
  int64_t out_stride;        // floats from pixel to pixel
  const float* residual[2];  // what is added where; nullptr: nothing
  int64_t residual_stride;
  int out_channels;
  Act act;
  ActNumbers numbers;
  bool limited;  // the activation is nothing but limits
  Limits limits;
  float* scratch[2];  // [pixel][VECS vectors]
};

// Pixel I of a group, OFFSET bytes on.
template <int OFFSET, int I>
__attribute__((always_inline)) inline vec splat_pixel(const char* a, int64_t s, int64_t s3,
                                                      int64_t s5) {
  static_assert(I <= 6);
  if constexpr (I == 0) return splat_at<OFFSET>(a);
  if constexpr (I == 3) return splat_at<OFFSET, 1>(a, s3);
  if constexpr (I == 5) return splat_at<OFFSET, 1>(a, s5);
  if constexpr (I == 6) return splat_at<OFFSET, 2>(a, s3);
  if constexpr (I == 1 || I == 2 || I == 4) return splat_at<OFFSET, I>(a, s);
}

// One reduction step for pixels I .. N - 1 of one group. HALF: of the last vector only the lower
// half is needed.
template <int OFFSET, int I, bool HALF, int N, int VECS>
__attribute__((always_inline)) inline void accumulate(vec (&acc)[N][VECS], const vec (&w)[VECS],
                                                      const char* a, int64_t s, int64_t s3,
                                                      int64_t s5) {
  if constexpr (I < N) {
    const vec x = splat_pixel<OFFSET, I>(a, s, s3, s5);
#pragma GCC unroll 4
    for (int v = 0; v < VECS - (HALF ? 1 : 0); ++v) add_product(acc[I][v], x, w[v]);
    if constexpr (HALF) add_half_product(acc[I][VECS - 1], x, w[VECS - 1]);
    accumulate<OFFSET, I + 1, HALF>(acc, w, a, s, s3, s5);
  }
}

// Reduction steps K .. LAST - 1.
template <int K, int LAST, bool HALF = false, int GROUPS, int N, int VECS>
__attribute__((always_inline)) inline void reduction_steps(vec (&acc)[GROUPS][N][VECS],
                                                           const float* weight, const char* a0,
                                                           const char* a1, int64_t s, int64_t s3,
                                                           int64_t s5) {
  if constexpr (K < LAST) {
    // No load is moved to an earlier step, which would take the registers of sums.
    __asm__ volatile("" : "+r"(weight), "+r"(s), "+r"(s3), "+r"(s5) : : "memory");
    vec w[VECS];
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) w[v] = load(weight + (K * VECS + v) * kVecWidth);
    accumulate<4 * K, 0, HALF>(acc[0], w, a0, s, s3, s5);
    if constexpr (GROUPS == 2) accumulate<4 * K, 0, HALF>(acc[1], w, a1, s, s3, s5);
    reduction_steps<K + 1, LAST, HALF>(acc, weight, a0, a1, s, s3, s5);
  }
}

template <int N, int VECS>
__attribute__((always_inline)) inline void init(vec (&acc)[N][VECS], const float* from, int step) {
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) acc[p][v] = load(from + p * step + v * kVecWidth);
  }
}

// What finish() reads and writes, asked for before the sums are made.
template <int N, int VECS>
__attribute__((always_inline)) inline void fetch_ends(const MicroArgs& m, int g) {
  fetch_pixels<N, VECS * kVecWidth * 4>(m.residual[g], m.residual_stride * 4);
  fetch_pixels<N, VECS * kVecWidth * 4>(m.out[g], m.out_stride * 4);
}

// In front of finish(), which adds 0 itself: so a residual that reads as 0 needs nothing.
template <int N, int VECS>
__attribute__((always_inline)) inline void add_residual(vec (&acc)[N][VECS], const MicroArgs& m,
                                                        int g) {
  const float* from = m.residual[g];
  const bool whole = m.out_channels >= VECS * kVecWidth;
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, from += m.residual_stride) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      const int n = m.out_channels - v * kVecWidth;
      const float* const at = from + v * kVecWidth;
      acc[p][v] = acc[p][v] + splat(0.0f) + (whole ? load(at) : load_n(at, n));
    }
  }
}

// Of the vectors of a pixel the first n elements.
template <int N, int VECS>
__attribute__((always_inline)) inline void finish_limited(vec (&acc)[N][VECS], const MicroArgs& m,
                                                          float* out, int n) {
  const vec low = splat(m.limits.low), high = splat(m.limits.high);
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, out += m.out_stride) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      store_n(out + v * kVecWidth, vclamp(acc[p][v] + splat(0.0f), low, high), n - v * kVecWidth);
    }
  }
}

template <int N, int VECS>
__attribute__((always_inline)) inline void keep_sums(vec (&acc)[N][VECS], float* to) {
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) store(to + (p * VECS + v) * kVecWidth, acc[p][v]);
  }
}

// Other activations are long: they are there once, not for every sum of every tile.
template <class Args, class Element>
__attribute__((noinline)) void finish_activated(const Args& m, const float* sums, int pixels,
                                                int vecs, Element* out) {
  for (int p = 0; p < pixels; ++p, out += m.out_stride) {
    for (int v = 0; v < vecs; ++v, sums += kVecWidth) {
      const vec y = activate(load(sums) + splat(0.0f), m.act, m.numbers);
      store_n(out + v * kVecWidth, y, m.out_channels - v * kVecWidth);
    }
  }
}

template <int N, int VECS>
__attribute__((always_inline)) inline void finish(vec (&acc)[N][VECS], const MicroArgs& m, int g) {
  if (m.residual[g] != nullptr) add_residual<N, VECS>(acc, m, g);
  float* const out = m.out[g];
  constexpr int kAll = VECS * kVecWidth;
  if (out == nullptr) {
    keep_sums<N, VECS>(acc, m.scratch[g]);
  } else if (!m.limited) {
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
constexpr int kPrefetchPasses = 4;

template <int GROUPS, int N, int VECS, bool HALF = false>
void conv_micro(const MicroArgs& m) {
  constexpr int kWidth = VECS * kVecWidth;
  constexpr int kUnroll = 4;
  constexpr int kPrefetchBytes = kUnroll * kWidth * 4 / kPrefetchPasses;
  constexpr int kPixelBytes = GROUPS * N * kUnroll * 4;  // where pixels have no other channels
  vec acc[GROUPS][N][VECS];
  if (m.bias != nullptr) {
    init<N, VECS>(acc[0], m.bias, 0);
    if constexpr (GROUPS == 2) init<N, VECS>(acc[1], m.bias, 0);
  } else {
    init<N, VECS>(acc[0], m.scratch[0], kWidth);
    if constexpr (GROUPS == 2) init<N, VECS>(acc[1], m.scratch[1], kWidth);
  }
  fetch_ends<N, VECS>(m, 0);
  if constexpr (GROUPS == 2) fetch_ends<N, VECS>(m, 1);
  const int in_y0 = m.y[0] * m.sh, in_y1 = m.y[GROUPS - 1] * m.sh;
  for (const Run *run = m.runs, *end = run + m.n_runs; run != end; ++run) {
    const unsigned h = static_cast<unsigned>(m.in_h);
    if (static_cast<unsigned>(in_y0 + run->dy) >= h &&
        static_cast<unsigned>(in_y1 + run->dy) >= h) {
      continue;  // only padding
    }
    const int64_t row = run->row_step;
    int64_t s = run->pixel_step, s3 = 3 * s, s5 = 5 * s;
    const char* a0 = run->base + m.y[0] * row + m.x[0] * s;
    const char* a1 = run->base + m.y[GROUPS - 1] * row + m.x[GROUPS - 1] * s;
    const float* w = m.weight + run->weight * kWidth;
    const int64_t weight_bytes = (run->weight - m.runs->weight) * kWidth * 4;
    const char* ahead = m.prefetch != nullptr ? m.prefetch + weight_bytes / kPrefetchPasses
                                              : reinterpret_cast<const char*>(w);
    const char* pixels = run->base + m.next_y * row + m.next_x * s;
    // The empty asm hides that these are multiples and induction variables; otherwise the compiler
    // makes one pointer per pixel and spills them.
    __asm__("" : "+r"(s), "+r"(s3), "+r"(s5));
    int i = run->channels;
    for (; i >= kUnroll; i -= kUnroll) {
      __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
      fetch_bytes<kPrefetchBytes>(ahead);
      ahead += kPrefetchBytes;
      fetch_bytes<kPixelBytes>(pixels);
      pixels += kPixelBytes;
      reduction_steps<0, kUnroll, HALF>(acc, w, a0, a1, s, s3, s5);
      a0 += 4 * kUnroll;
      a1 += 4 * kUnroll;
      w += kUnroll * kWidth;
    }
    for (; i > 0; --i) {
      __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
      reduction_steps<0, 1, HALF>(acc, w, a0, a1, s, s3, s5);
      a0 += 4;
      a1 += 4;
      w += kWidth;
    }
  }
  finish<N, VECS>(acc[0], m, 0);
  if constexpr (GROUPS == 2) finish<N, VECS>(acc[1], m, 1);
}

using Micro = void (*)(const MicroArgs&);

#define PVNET_MICRO_VECS(groups, n) \
  {conv_micro<groups, n, 1>, conv_micro<groups, n, 2>, conv_micro<groups, n, 2, kHalfVectors>}
#define PVNET_MICRO(n) {PVNET_MICRO_VECS(1, n), PVNET_MICRO_VECS(2, n)}
// [pixels of a group - 1][groups - 1][vectors - 1, and one and a half]
constexpr Micro kMicro[kGroupPixels][2][kBlockVecs + 1] = {
    PVNET_MICRO(1), PVNET_MICRO(2), PVNET_MICRO(3),
#ifdef PVNET_WIDE_GROUPS
    PVNET_MICRO(4), PVNET_MICRO(5), PVNET_MICRO(6), PVNET_MICRO(7),
#endif
};
#undef PVNET_MICRO
#undef PVNET_MICRO_VECS
