// SPDX-License-Identifier: Apache-2.0
// The vector primitives of AVX2 with FMA; see simd_avx512.hpp.

constexpr int kVecWidth = 8;
constexpr int kGroupPixels = 3;  // 2 groups x 3 pixels x 2 vectors = 12 of the 16 registers

typedef float vec __attribute__((vector_size(32)));
typedef int32_t ivec __attribute__((vector_size(32)));
typedef float vec_unaligned __attribute__((vector_size(32), aligned(4), may_alias));

inline vec splat(float x) { return _mm256_set1_ps(x); }
inline vec fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
inline vec exact_fma(vec a, vec b, vec c) { return fma(a, b, c); }
// The nearest integer, ties to even.
inline vec nearest(vec x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT); }
#ifdef PVNET_DOT_BYTES
// sum + four products, of elements from 0 to 255 and of weights with a sign.
inline ivec dot_bytes(ivec sum, ivec x, ivec w) {
  return (ivec)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)x, (__m256i)w);
}
#endif
// Bytes as integers, and the lowest bytes of integers.
template <bool SIGNED>
inline ivec load_bytes(const void* p) {
  const __m128i bytes = _mm_loadl_epi64(static_cast<const __m128i*>(p));
  return SIGNED ? (ivec)_mm256_cvtepi8_epi32(bytes) : (ivec)_mm256_cvtepu8_epi32(bytes);
}
inline void store_bytes(void* p, ivec v) {
  const __m256i of_halves = _mm256_shuffle_epi8((__m256i)v, _mm256_set1_epi32(0x0c080400));
  _mm_storel_epi64(static_cast<__m128i*>(p),
                   _mm_unpacklo_epi32(_mm256_castsi256_si128(of_halves),
                                      _mm256_extracti128_si256(of_halves, 1)));
}
// Hides from the compiler how x came about: else it computes it in other registers, or sums up in
// another order, and spills.
template <class T>
inline void keep(T& x) {
  __asm__("" : "+x"(x));
}
// The sum of two products of 16 bits.
inline ivec dot_pairs(ivec a, ivec b) { return (ivec)_mm256_madd_epi16((__m256i)a, (__m256i)b); }

#if !defined(__SANITIZE_ADDRESS__)  // which sees no loads of assembly
#define PVNET_OWN_PRODUCT
// Those of generic/product.inl, instruction by instruction: with two registers to spare, compilers
// find other addresses, and move sums between registers, at every change of the code around. That
// costs up to a tenth.
struct Reach {  // of the steps from a pixel to the last one of its group
  char bytes[1 << 20];
};
template <int OFFSET>
__attribute__((always_inline)) inline vec splat_at(const char* a) {
  vec v;
  __asm__("vbroadcastss %c2(%1), %0"
          : "=x"(v)
          : "r"(a), "i"(OFFSET), "m"(*reinterpret_cast<const Reach*>(a)));
  return v;
}
template <int OFFSET, int TIMES>
__attribute__((always_inline)) inline vec splat_at(const char* a, int64_t step) {
  vec v;
  __asm__("vbroadcastss %c2(%1,%3,%c4), %0"
          : "=x"(v)
          : "r"(a), "i"(OFFSET), "r"(step), "i"(TIMES), "m"(*reinterpret_cast<const Reach*>(a)));
  return v;
}
__attribute__((always_inline)) inline void add_product(vec& sum, vec a, vec b) {
  __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
}
#endif
// The greatest; a NaN is handed on. Of equal ones it is the last.
inline vec greatest(vec a, vec b) {
  return _mm256_or_ps(_mm256_max_ps(a, b), _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}
inline vec greatest(vec a, vec b, vec c) {
  return _mm256_or_ps(_mm256_max_ps(a, _mm256_max_ps(b, c)), _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
}
struct Maximum {
  vec best;
  vec nan = {};  // all bits set where there was one
  void take(vec x) {
    nan = _mm256_or_ps(nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    best = _mm256_max_ps(x, best);
  }
  void take(vec x, vec y) {
    __asm__("" : "+x"(x), "+x"(y));  // or each is loaded from memory twice
    nan = _mm256_or_ps(nan, _mm256_cmp_ps(x, y, _CMP_UNORD_Q));
    best = _mm256_max_ps(_mm256_max_ps(y, x), best);
  }
  vec value() const { return _mm256_or_ps(best, nan); }
};
// Of vectors of 16 elements of 16 bits, for tables over bf16: see generic/element_bf16.inl.
#define PVNET_UNPACK(half, a, b) _mm256_unpack##half##_epi16((__m256i)(a), (__m256i)(b))
#define PVNET_PACK(low, high) _mm256_packus_epi32((__m256i)(low), (__m256i)(high))
inline __m256i first_floats(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline vec load_partial(const float* p, int n) { return _mm256_maskload_ps(p, first_floats(n)); }
inline void store_partial(float* p, vec v, int n) { _mm256_maskstore_ps(p, first_floats(n), v); }
