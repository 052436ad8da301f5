// SPDX-License-Identifier: Apache-2.0
// The register tile of Winograd's products at one point: rows of tiles x VECS vectors of output
// channels.
//
//   sum[row][oc] (+)= sum over channels: in[row][channel] * weight[channel][oc]
//
// The rows of a register tile are two groups, the first N and the last N of at most 2 N. Rows that
// both have are computed twice, to the same bits: fewer variants than one a number of rows.

struct ProductArgs {
  const float* in;
  int64_t row;  // floats from row to row of `in`
  int second;   // first row of the second group
  int channels;
  const float* weight;
  const char* prefetch;  // half of the weights that come next
  float* sum;
  int64_t sum_row;
  bool first;  // of all chunks: sums begin at 0
};

template <int N, int VECS>
__attribute__((always_inline)) inline void load_sums(vec (&acc)[N][VECS], const float* from,
                                                     int64_t row, bool zero) {
#pragma GCC unroll 8
  for (int r = 0; r < N; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      acc[r][v] = zero ? splat(0.0f) : load(from + r * row + v * kVecWidth);
    }
  }
}

template <int N, int VECS>
__attribute__((always_inline)) inline void store_sums(const vec (&acc)[N][VECS], float* to,
                                                      int64_t row) {
#pragma GCC unroll 8
  for (int r = 0; r < N; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) store(to + r * row + v * kVecWidth, acc[r][v]);
  }
}

template <int N, int VECS>
void product_micro(const ProductArgs& m) {
  constexpr int kWidth = VECS * kVecWidth, kUnroll = 4;
  constexpr int kPrefetchLines = kUnroll * kWidth * 4 / 2 / 64;
  vec acc[2][N][VECS];
  load_sums<N, VECS>(acc[0], m.sum, m.sum_row, m.first);
  load_sums<N, VECS>(acc[1], m.sum + m.second * m.sum_row, m.sum_row, m.first);
  // The empty asm: see conv_micro.inl.
  int64_t s = m.row * 4, s3 = 3 * s, s5 = 5 * s;
  const char* a0 = reinterpret_cast<const char*>(m.in);
  const char* a1 = a0 + m.second * s;
  const char* ahead = m.prefetch;
  const float* w = m.weight;
  int i = m.channels;
  for (; i >= kUnroll; i -= kUnroll) {
    __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
#pragma GCC unroll 4
    for (int l = 0; l < kPrefetchLines; ++l) __builtin_prefetch(ahead + l * 64, 0, 2);
    ahead += kPrefetchLines * 64;
    reduction_steps<0, kUnroll>(acc, w, a0, a1, s, s3, s5);
    a0 += 4 * kUnroll;
    a1 += 4 * kUnroll;
    w += kUnroll * kWidth;
  }
  for (; i > 0; --i) {
    __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
    reduction_steps<0, 1>(acc, w, a0, a1, s, s3, s5);
    a0 += 4;
    a1 += 4;
    w += kWidth;
  }
  store_sums<N, VECS>(acc[0], m.sum, m.sum_row);
  store_sums<N, VECS>(acc[1], m.sum + m.second * m.sum_row, m.sum_row);
}

using ProductMicro = void (*)(const ProductArgs&);
#define PVNET_PRODUCT(n) {product_micro<n, 1>, product_micro<n, 2>}
// [rows of a group - 1][vectors - 1]
constexpr ProductMicro kProductMicro[kGroupPixels][kBlockVecs] = {
    PVNET_PRODUCT(1), PVNET_PRODUCT(2), PVNET_PRODUCT(3),
#ifdef PVNET_WIDE_GROUPS
    PVNET_PRODUCT(4), PVNET_PRODUCT(5), PVNET_PRODUCT(6), PVNET_PRODUCT(7),
#endif
};
#undef PVNET_PRODUCT

// Rows cut into n register tiles, the first `more` of which have a row more than `rows`.
struct RowCut {
  int n, rows, more;
  explicit RowCut(int all) : n(ceil_div(all, kTileRows)), rows(all / n), more(all - rows * n) {}
};

// One block at one point.
inline void products(ProductArgs m, const RowCut& cut, int vecs) {
  const int64_t half = static_cast<int64_t>(m.channels) * vecs * kVecWidth * 4 / 2;
  const char* const own = reinterpret_cast<const char*>(m.weight);
  for (int i = 0; i < cut.n; ++i) {
    const int rows = cut.rows + (i < cut.more ? 1 : 0), group = (rows + 1) / 2;
    m.second = rows - group;
    m.prefetch = i < 2 ? own + (2 + i) * half : own;
    kProductMicro[group - 1][vecs - 1](m);
    m.in += rows * m.row;
    m.sum += rows * m.sum_row;
  }
}
