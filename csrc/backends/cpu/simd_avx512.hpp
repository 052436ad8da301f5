// SPDX-License-Identifier: Apache-2.0
// The vector primitives of AVX-512. Included inside the target region and the anonymous namespace
// of isa_avx512.cpp; every set has a file with the same names.

constexpr int kVecWidth = 16;    // floats in a vector
constexpr int kGroupPixels = 7;  // pixels of one group of a register tile (generic/conv_micro.inl)

typedef float vec __attribute__((vector_size(64)));
typedef int32_t ivec __attribute__((vector_size(64)));
typedef float vec_unaligned __attribute__((vector_size(64), aligned(4), may_alias));

inline vec splat(float x) { return _mm512_set1_ps(x); }
inline vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
inline vec exact_fma(vec a, vec b, vec c) { return fma(a, b, c); }
// The nearest integer, ties to even. Without a mask GCC 12 warns.
inline vec nearest(vec x) {
  constexpr auto kAll = static_cast<__mmask16>(-1);
  return _mm512_maskz_roundscale_ps(kAll, x, _MM_FROUND_TO_NEAREST_INT);
}
#ifdef PVNET_DOT_BYTES
// sum + four products, of elements from 0 to 255 and of weights with a sign.
inline ivec dot_bytes(ivec sum, ivec x, ivec w) {
  return (ivec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
}
#endif
// Bytes as integers, all or the first n (the others are 0 and are not read); and the lowest bytes
// of integers. Without masks GCC 12 warns.
#define PVNET_BYTE_MASKS
inline __mmask16 first_of_16(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
template <bool SIGNED>
inline ivec widened_bytes(__m128i bytes) {
  constexpr auto kAll = static_cast<__mmask16>(-1);
  return SIGNED ? (ivec)_mm512_maskz_cvtepi8_epi32(kAll, bytes)
                : (ivec)_mm512_maskz_cvtepu8_epi32(kAll, bytes);
}
template <bool SIGNED>
inline ivec load_bytes(const void* p) {
  return widened_bytes<SIGNED>(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
template <bool SIGNED>
inline ivec load_some_bytes(const void* p, int n) {
  return widened_bytes<SIGNED>(_mm_maskz_loadu_epi8(first_of_16(n), p));
}
inline __m128i low_bytes(ivec v) {
  return _mm512_maskz_cvtepi32_epi8(static_cast<__mmask16>(-1), (__m512i)v);
}
inline void store_bytes(void* p, ivec v) {
  _mm_storeu_si128(static_cast<__m128i*>(p), low_bytes(v));
}
inline void store_some_bytes(void* p, ivec v, int n) {
  _mm_mask_storeu_epi8(p, first_of_16(n), low_bytes(v));
}
// Of two vectors by one store: there is one a cycle, however wide.
#define PVNET_STORE_TWO
inline void store_bytes(void* p, ivec v, ivec w) {
  const __m256i both = _mm256_castsi128_si256(low_bytes(v));
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm256_inserti128_si256(both, low_bytes(w), 1));
}
// Hides from the compiler how x came about: else it computes it in other registers, or sums up in
// another order, and spills.
template <class T>
inline void keep(T& x) {
  __asm__("" : "+v"(x));
}
// The sum of two products of 16 bits.
inline ivec dot_pairs(ivec a, ivec b) { return (ivec)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
// Cores whose units are 256 bits wide take half the time for it.
#define PVNET_HALF_PRODUCT
inline void add_half_product(vec& sum, vec a, vec b) {  // GCC 12 warns at the intrinsics for halves
  __asm__("vfmadd231ps %t2, %t1, %t0" : "+v"(sum) : "v"(a), "v"(b));
}
inline vec vmax(vec a, vec b) {  // where either is a NaN: b. Without a mask GCC 12 warns.
  return _mm512_maskz_max_ps(static_cast<__mmask16>(-1), a, b);
}
// The greatest; a NaN is handed on. Of equal ones it is the last.
inline vec greatest(vec a, vec b) {
  const __mmask16 numbers = _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q);
  return _mm512_mask_max_ps(splat(__builtin_nanf("")), numbers, a, b);
}
inline vec greatest(vec a, vec b, vec c) {
  const __mmask16 numbers = _mm512_cmp_ps_mask(a, b, _CMP_ORD_Q);
  return _mm512_mask_max_ps(splat(__builtin_nanf("")), numbers, a, vmax(b, c));
}
// A running maximum that hands NaNs on, two values at once: one comparison tells whether either is
// a NaN, which x86's maximum loses.
struct Maximum {
  vec best;
  __mmask16 nan = 0;
  void take(vec x) {
    nan |= _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    best = vmax(x, best);
  }
  void take(vec x, vec y) {
    __asm__("" : "+v"(x), "+v"(y));  // or each is loaded from memory twice
    nan |= _mm512_cmp_ps_mask(x, y, _CMP_UNORD_Q);
    best = vmax(vmax(y, x), best);
  }
  vec value() const { return _mm512_mask_mov_ps(best, nan, splat(__builtin_nanf(""))); }
};
// Of vectors of 32 elements of 16 bits, for tables over bf16: see generic/element_bf16.inl.
#define PVNET_UNPACK(half, a, b) _mm512_unpack##half##_epi16((__m512i)(a), (__m512i)(b))
#define PVNET_PACK(low, high) _mm512_packus_epi32((__m512i)(low), (__m512i)(high))
// The first n floats of memory; the others are 0 and are not read.
inline vec load_partial(const float* p, int n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p);
}
inline void store_partial(float* p, vec v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v);
}
