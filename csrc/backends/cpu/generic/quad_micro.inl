// SPDX-License-Identifier: Apache-2.0
// The register tile over maps of 8 bits: GROUPS groups of N neighbouring pixels x VECS vectors of
// output channels, the products of four input channels a step. Sums are integers: no order matters.
//
//   sum[pixel][oc] += over runs, over words: dot(in[pixel][word], weight[run][word][oc])
//
// A run is what of the window lies in one piece in a segment. The pixels of a group lie in one row,
// at one constant distance. So two base pointers and three multiples of the distance address all of
// them. The groups of a tile may lie in different rows.

struct QuadRun {
  const char* base;  // input of output pixel (0, 0)
  int64_t weight;    // offset in the block, in words of an output channel
  int64_t row_step;  // bytes from output row to output row, and from pixel to pixel
  int64_t pixel_step;
  int words;
  int dy;      // input row of output row 0
  bool flips;  // the highest bits of elements
};

struct QuadArgs {
  const QuadRun* runs;
  int n_runs;
  const int32_t* begin;  // sums before the first run; nullptr: continue from the scratch
  const uint32_t* weight;
  const char* prefetch;  // weights of the next chunk, or nullptr
  int in_h, sh;
  int y[2], x[2];           // first output pixel of each group
  char* out[2];             // nullptr in both: keep the sum in the scratch
  const char* residual[2];  // of the map that is added: the first channel of the block
  const QuadEnd* end;
  int32_t* scratch[2];  // [pixel][VECS vectors]
};

typedef uint32_t word_unaligned __attribute__((aligned(1), may_alias));

inline uvec load_words(const uint32_t* p) { return *reinterpret_cast<const uvec_unaligned*>(p); }
inline uvec splat_word(const char* p) {
  return uvec{} + *reinterpret_cast<const word_unaligned*>(p);
}

template <int I>
inline const char* quad_at(const char* a, int64_t s, int64_t s3, int64_t s5) {
  static_assert(I <= 6);
  if constexpr (I == 3) return a + s3;
  if constexpr (I == 5) return a + s5;
  if constexpr (I == 6) return a + 2 * s3;
  return a + I * s;
}

// Part `PART` of one step for pixels I .. N - 1 of one group.
template <int I, int N, int VECS, bool FLIPS, int PART>
__attribute__((always_inline)) inline void accumulate_quads(ivec (&acc)[N][VECS],
                                                            const uvec (&w)[VECS], const char* a,
                                                            int64_t s, int64_t s3, int64_t s5) {
  if constexpr (I < N) {
    uvec x = splat_word(quad_at<I>(a, s, s3, s5));
    keep(x);
    if constexpr (FLIPS) x ^= 0x80808080;
#ifdef PVNET_DOT_BYTES
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) acc[I][v] = dot_bytes(acc[I][v], (ivec)x, (ivec)w[v]);
#else
    typedef uint16_t pairs __attribute__((vector_size(4 * kVecWidth)));
    const ivec part = PART == 0 ? (ivec)(x & 0x00ff00ff) : (ivec)((pairs)x >> 8);
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      acc[I][v] += dot_pairs(part, (ivec)w[v]);
      keep(acc[I][v]);
    }
#endif
    accumulate_quads<I + 1, N, VECS, FLIPS, PART>(acc, w, a, s, s3, s5);
  }
}

template <int GROUPS, int N, int VECS, bool FLIPS, int PART = 0>
__attribute__((always_inline)) inline void quad_step(ivec (&acc)[GROUPS][N][VECS],
                                                     const uint32_t* weight, const char* a0,
                                                     const char* a1, int64_t s, int64_t s3,
                                                     int64_t s5) {
  uvec w[VECS];
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) w[v] = load_words(weight + (PART * VECS + v) * kVecWidth);
  accumulate_quads<0, N, VECS, FLIPS, PART>(acc[0], w, a0, s, s3, s5);
  if constexpr (GROUPS == 2) accumulate_quads<0, N, VECS, FLIPS, PART>(acc[1], w, a1, s, s3, s5);
  if constexpr (PART + 1 < kWordParts) {
    quad_step<GROUPS, N, VECS, FLIPS, PART + 1>(acc, weight, a0, a1, s, s3, s5);
  }
}

template <int N, int VECS>
__attribute__((always_inline)) inline void init_quads(ivec (&acc)[N][VECS], const int32_t* from,
                                                      int step) {
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      acc[p][v] = *reinterpret_cast<const ivec_unaligned*>(from + p * step + v * kVecWidth);
    }
  }
}

// With a map that is added: all have 8 bits, and the activation is none but limits. The vectors of
// a block are whole, or pixels have room for them.
template <int N, int VECS, bool SIGN>
__attribute__((always_inline)) inline void finish_byte_sums(ivec (&acc)[N][VECS], const QuadArgs& m,
                                                            int g) {
  const QuadEnd& end = *m.end;
  const vec low = splat(end.low), high = splat(end.high), inverse = splat(end.steps.inverse);
  const vec step = splat(end.alone.scale), residual_step = splat(end.residual_g.scale);
  vec scale[VECS], bias[VECS];
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) {
    scale[v] = load(end.scale + v * kVecWidth), bias[v] = load(end.bias + v * kVecWidth);
  }
  // Copies: as far as the compiler knows, what is stored may lie where these do.
  const int64_t in_step = end.residual_g.pixel_stride, out_step = end.g.pixel_stride;
  const Steps alone = end.alone_steps;
  const char* from = m.residual[g];
  char* out = m.out[g];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, from += in_step, out += out_step) {
    ivec steps[VECS];
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      const vec more = as_floats(widened_steps<SIGN>(from + v * kVecWidth)) * residual_step;
      const vec own = exact_fma(as_floats(acc[p][v]), scale[v], bias[v]);
      vec y = (nearest_steps(own, alone) * step + more) * inverse;
      y = y > low ? y : low;
      y = y < high ? y : high;
      steps[v] = rounded_steps(y);
    }
    store_steps(out, steps, VECS * kVecWidth);
  }
}

// Into 8 bits by limits alone; of the vectors of a pixel the first n elements.
template <int N, int VECS>
__attribute__((always_inline)) inline void finish_bytes(ivec (&acc)[N][VECS], const QuadEnd& end,
                                                        char* out, int n) {
  const vec low = splat(end.low), high = splat(end.high), inverse = splat(end.steps.inverse);
  vec scale[VECS], bias[VECS];
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) {
    scale[v] = load(end.scale + v * kVecWidth), bias[v] = load(end.bias + v * kVecWidth);
  }
  // A copy: as far as the compiler knows, what is stored may lie where it does.
  const int64_t step = end.g.pixel_stride;
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, out += step) {
    ivec steps[VECS];
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      vec y = exact_fma(as_floats(acc[p][v]), scale[v], bias[v]) * inverse;
      y = y > low ? y : low;
      y = y < high ? y : high;
      steps[v] = rounded_steps(y);
    }
    store_steps(out, steps, n);
  }
}

// As finish_bytes, into floats.
template <int N, int VECS>
__attribute__((always_inline)) inline void finish_floats(ivec (&acc)[N][VECS], const QuadEnd& end,
                                                         char* out, int n) {
  const vec low = splat(end.low), high = splat(end.high);
  vec scale[VECS], bias[VECS];
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) {
    scale[v] = load(end.scale + v * kVecWidth), bias[v] = load(end.bias + v * kVecWidth);
  }
  const int64_t step = end.g.pixel_stride;
  auto* to = reinterpret_cast<float*>(out);
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, to += step) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      const vec y = exact_fma(as_floats(acc[p][v]), scale[v], bias[v]);
      store_n(to + v * kVecWidth, vclamp(y, low, high), n - v * kVecWidth);
    }
  }
}

template <int N, int VECS, bool ADDS>
__attribute__((always_inline)) inline void finish_quads(ivec (&acc)[N][VECS], const QuadArgs& m,
                                                        int g) {
  if (m.out[g] == nullptr) {
#pragma GCC unroll 8
    for (int p = 0; p < N; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < VECS; ++v) {
        *reinterpret_cast<ivec_unaligned*>(m.scratch[g] + (p * VECS + v) * kVecWidth) = acc[p][v];
      }
    }
    return;
  }
  if constexpr (ADDS) {
    if (m.end->residual_g.dtype == Dtype::int8) return finish_byte_sums<N, VECS, true>(acc, m, g);
    return finish_byte_sums<N, VECS, false>(acc, m, g);
  }
  constexpr int kAll = VECS * kVecWidth;
  const int n = m.end->channels;
  if (m.end->g.dtype == Dtype::f32) return finish_floats<N, VECS>(acc, *m.end, m.out[g], n);
  if (n >= kAll) return finish_bytes<N, VECS>(acc, *m.end, m.out[g], kAll);
  finish_bytes<N, VECS>(acc, *m.end, m.out[g], n);
}

// Each of the first passes over a chunk of weights asks for its share of the next chunk, which lies
// behind it: without that the first pass waits for memory.
constexpr int kQuadPasses = 4;

template <int GROUPS, int N, int VECS, bool FLIPS>
__attribute__((always_inline)) inline void quad_run(ivec (&acc)[GROUPS][N][VECS], const QuadArgs& m,
                                                    const QuadRun& run) {
  constexpr int kWidth = VECS * kVecWidth * kWordParts;  // of a word, in words of one channel
  constexpr int kUnroll = 4;
  constexpr int kLines = kUnroll * kWidth * 4 / kQuadPasses / 64;
  int64_t s = run.pixel_step, s3 = 3 * s, s5 = 5 * s;
  const char* a0 = run.base + m.y[0] * run.row_step + m.x[0] * s;
  const char* a1 = run.base + m.y[GROUPS - 1] * run.row_step + m.x[GROUPS - 1] * s;
  const uint32_t* w = m.weight + run.weight * kWidth;
  const int64_t weight_bytes = (run.weight - m.runs->weight) * kWidth * 4;
  const char* ahead = m.prefetch != nullptr ? m.prefetch + weight_bytes / kQuadPasses
                                            : reinterpret_cast<const char*>(w);
  // The empty asm hides that these are multiples and induction variables; otherwise the compiler
  // makes one pointer per pixel and spills them.
  __asm__("" : "+r"(s), "+r"(s3), "+r"(s5));
  int i = run.words;
  for (; i >= kUnroll; i -= kUnroll) {
    __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
#pragma GCC unroll 4
    for (int l = 0; l < kLines; ++l) __builtin_prefetch(ahead + l * 64, 0, 2);
    ahead += kLines * 64;
#pragma GCC unroll 4
    for (int k = 0; k < kUnroll; ++k) {
      __asm__("" : "+r"(s), "+r"(s3), "+r"(s5));
      quad_step<GROUPS, N, VECS, FLIPS>(acc, w + k * kWidth, a0 + 4 * k, a1 + 4 * k, s, s3, s5);
    }
    a0 += 4 * kUnroll;
    a1 += 4 * kUnroll;
    w += kUnroll * kWidth;
  }
  for (; i > 0; --i) {
    __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
    quad_step<GROUPS, N, VECS, FLIPS>(acc, w, a0, a1, s, s3, s5);
    a0 += 4;
    a1 += 4;
    w += kWidth;
  }
}

// What is added lies far apart, and is needed after all products.
template <int N>
__attribute__((always_inline)) inline void fetch_quad_residual(const QuadArgs& m, int g) {
  const char* from = m.residual[g];
  if (from == nullptr) return;
  const int64_t step = m.end->residual_g.pixel_stride * element_bytes(m.end->residual_g.dtype);
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) __builtin_prefetch(from + p * step);
}

template <int GROUPS, int N, int VECS, bool ADDS>
void quad_micro(const QuadArgs& m) {
  if constexpr (ADDS) fetch_quad_residual<N>(m, 0);
  if constexpr (ADDS && GROUPS == 2) fetch_quad_residual<N>(m, 1);
  ivec acc[GROUPS][N][VECS];
  if (m.begin != nullptr) {
    init_quads<N, VECS>(acc[0], m.begin, 0);
    if constexpr (GROUPS == 2) init_quads<N, VECS>(acc[1], m.begin, 0);
  } else {
    init_quads<N, VECS>(acc[0], m.scratch[0], VECS * kVecWidth);
    if constexpr (GROUPS == 2) init_quads<N, VECS>(acc[1], m.scratch[1], VECS * kVecWidth);
  }
  const int in_y0 = m.y[0] * m.sh, in_y1 = m.y[GROUPS - 1] * m.sh;
  for (const QuadRun *run = m.runs, *end = run + m.n_runs; run != end; ++run) {
    const auto h = static_cast<unsigned>(m.in_h);
    if (run->flips) {  // corrections count rows of padding, too
      quad_run<GROUPS, N, VECS, true>(acc, m, *run);
    } else if (static_cast<unsigned>(in_y0 + run->dy) < h ||
               static_cast<unsigned>(in_y1 + run->dy) < h) {
      quad_run<GROUPS, N, VECS, false>(acc, m, *run);
    }
  }
  finish_quads<N, VECS, ADDS>(acc[0], m, 0);
  if constexpr (GROUPS == 2) finish_quads<N, VECS, ADDS>(acc[1], m, 1);
}

using QuadMicro = void (*)(const QuadArgs&);

#define PVNET_QUAD_MICRO_VECS(groups, n) \
  {quad_micro<groups, n, 1, false>, quad_micro<groups, n, 2, false>}
#define PVNET_QUAD_MICRO(n) {PVNET_QUAD_MICRO_VECS(1, n), PVNET_QUAD_MICRO_VECS(2, n)}
// [pixels of a group - 1][groups - 1][vectors - 1]
constexpr QuadMicro kQuadMicro[kGroupPixels][2][kBlockVecs] = {
    PVNET_QUAD_MICRO(1), PVNET_QUAD_MICRO(2), PVNET_QUAD_MICRO(3),
#ifdef PVNET_WIDE_GROUPS
    PVNET_QUAD_MICRO(4), PVNET_QUAD_MICRO(5), PVNET_QUAD_MICRO(6), PVNET_QUAD_MICRO(7),
#endif
};
#undef PVNET_QUAD_MICRO
#undef PVNET_QUAD_MICRO_VECS

// With a map that is added, as large maps of many channels have them: other sums take a way by the
// scratch (finish_from_scratch). [whole groups, or one pixel fewer][groups - 1]
constexpr QuadMicro kQuadMicroSums[2][2] = {
    {quad_micro<1, kGroupPixels, kBlockVecs, true>, quad_micro<2, kGroupPixels, kBlockVecs, true>},
    {quad_micro<1, kGroupPixels - 1, kBlockVecs, true>,
     quad_micro<2, kGroupPixels - 1, kBlockVecs, true>}};
