// SPDX-License-Identifier: Apache-2.0
// The register tile of Winograd's products at one point: rows of tiles x VECS vectors of output
// channels.
//
//   sum[row][oc] (+)= sum over channels: in[row][channel] * weight[channel][oc]
//
// The rows of a register tile are two groups, the first N and the last N of at most 2 N. Rows that
// both have are computed twice, to the same bits: fewer variants than one a number of rows.

// What is asked for meanwhile, of the weights that come next: from `at` on a quarter of them, or
// two or four that lie `one` and `two` bytes apart.
struct Ahead {
  const char* at;
  int64_t one, two;
};

struct ProductArgs {
  const float* in;
  int64_t row;  // floats from row to row of `in`
  int second;   // first row of the second group
  int channels;
  const float* weight;  // of the first vector
  int64_t weight_vec;   // floats from there to those of the second
  Ahead ahead;
  float* sum;
  int64_t sum_row;
  bool first;  // of all chunks: sums begin at 0
};

// Reduction steps K .. LAST - 1; see reduction_steps() in conv_micro.inl. Every vector of output
// channels has weights of its own, side by side, so that lanes may share a block.
template <int K, int LAST, int N, int VECS>
__attribute__((always_inline)) inline void product_steps(vec (&acc)[2][N][VECS],
                                                         const float* weight, int64_t weight_vec,
                                                         const char* a0, const char* a1, int64_t s,
                                                         int64_t s3, int64_t s5) {
  if constexpr (K < LAST) {
    __asm__ volatile("" : "+r"(weight), "+r"(s), "+r"(s3), "+r"(s5) : : "memory");
    vec w[VECS];
#pragma GCC unroll 2
    for (int v = 0; v < VECS; ++v) w[v] = load(weight + v * weight_vec + K * kVecWidth);
    accumulate<4 * K, 0, false>(acc[0], w, a0, s, s3, s5);
    accumulate<4 * K, 0, false>(acc[1], w, a1, s, s3, s5);
    product_steps<K + 1, LAST>(acc, weight, weight_vec, a0, a1, s, s3, s5);
  }
}

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
  constexpr int kUnroll = 4, kQuarter = kUnroll * VECS * kVecWidth * 4 / 4;  // bytes
  vec acc[2][N][VECS];
  load_sums<N, VECS>(acc[0], m.sum, m.sum_row, m.first);
  load_sums<N, VECS>(acc[1], m.sum + m.second * m.sum_row, m.sum_row, m.first);
  // The empty asm: see conv_micro.inl.
  int64_t s = m.row * 4, s3 = 3 * s, s5 = 5 * s;
  const char* a0 = reinterpret_cast<const char*>(m.in);
  const char* a1 = a0 + m.second * s;
  Ahead ahead = m.ahead;
  const float* w = m.weight;
  const int64_t weight_vec = m.weight_vec;
  int i = m.channels;
  for (; i >= kUnroll; i -= kUnroll) {
    __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
#pragma GCC unroll 2
    for (int l = 0; l < kQuarter; l += 64) {
      __builtin_prefetch(ahead.at + l);
      __builtin_prefetch(ahead.at + l + ahead.one);
      __builtin_prefetch(ahead.at + l + ahead.two);
      __builtin_prefetch(ahead.at + l + ahead.one + ahead.two);
    }
    ahead.at += kQuarter;
    product_steps<0, kUnroll>(acc, w, weight_vec, a0, a1, s, s3, s5);
    a0 += 4 * kUnroll;
    a1 += 4 * kUnroll;
    w += kUnroll * kVecWidth;
  }
  for (; i > 0; --i) {
    __asm__("" : "+r"(a0), "+r"(a1), "+r"(w));
    product_steps<0, 1>(acc, w, weight_vec, a0, a1, s, s3, s5);
    a0 += 4;
    a1 += 4;
    w += kVecWidth;
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

// The register tiles of a block ask for what comes next between them, for a vector's `bytes` at
// `next` and (if there are two) as many at `next` + vec.
inline Ahead ahead_of(const char* next, int64_t bytes, int64_t vec, int vecs, int tile, int tiles) {
  if (vecs == 1) vec = bytes / 2;
  const int64_t quarter = bytes * vecs / 4;
  if (tiles == 1) return {next, quarter, vec};
  if (tiles < 4) return {next + (tile & 1) * vec, quarter, 0};
  return {next + (tile & 1) * quarter + (tile >> 1 & 1) * vec, 0, 0};
}

// One or two vectors at one point; `next`: the weights of what comes next, which lie as these.
inline void products(ProductArgs m, const RowCut& cut, int vecs, const float* next) {
  const int64_t bytes = static_cast<int64_t>(m.channels) * kVecWidth * 4;
  for (int i = 0; i < cut.n; ++i) {
    const int rows = cut.rows + (i < cut.more ? 1 : 0), group = (rows + 1) / 2;
    m.second = rows - group;
    m.ahead =
        ahead_of(reinterpret_cast<const char*>(next), bytes, m.weight_vec * 4, vecs, i, cut.n);
    kProductMicro[group - 1][vecs - 1](m);
    m.in += rows * m.row;
    m.sum += rows * m.sum_row;
  }
}
