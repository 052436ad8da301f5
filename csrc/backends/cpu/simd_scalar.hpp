// SPDX-License-Identifier: Apache-2.0
// The baseline of whatever machine this is compiled for (SSE2 on x86-64): four floats, multiply and
// add rounded separately; see simd_avx512.hpp.

constexpr int kVecWidth = 4;
constexpr int kGroupPixels = 3;

typedef float vec __attribute__((vector_size(16)));
typedef int32_t ivec __attribute__((vector_size(16)));
typedef float vec_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

inline vec splat(float x) { return vec{x, x, x, x}; }
inline vec fma(vec a, vec b, vec c) { return a * b + c; }
inline vec exact_fma(vec a, vec b, vec c) {
  vec y;
  for (int i = 0; i < kVecWidth; ++i) y[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return y;
}
// The nearest integer, ties to even, of numbers below 2^22.
inline vec nearest(vec x) {
  constexpr float kUnits = 12582912.0f;  // 1.5 * 2^23: what is added to it becomes whole
  return x + kUnits - kUnits;
}
// Bytes as integers, and the lowest bytes of integers.
template <bool SIGNED>
inline ivec load_bytes(const void* p) {
  ivec v;
  for (int i = 0; i < kVecWidth; ++i) {
    v[i] = SIGNED ? static_cast<const int8_t*>(p)[i] : static_cast<const uint8_t*>(p)[i];
  }
  return v;
}
inline void store_bytes(void* p, ivec v) {
  for (int i = 0; i < kVecWidth; ++i) static_cast<uint8_t*>(p)[i] = static_cast<uint8_t>(v[i]);
}
// Hides from the compiler how x came about: else it computes it in other registers, or sums up in
// another order, and spills.
template <class T>
inline void keep([[maybe_unused]] T& x) {
#if defined(__SSE2__)
  __asm__("" : "+x"(x));
#endif
}
// The sum of two products of 16 bits.
inline ivec dot_pairs(ivec a, ivec b) {
#if defined(__SSE2__)
  return (ivec)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}
// Where either is a NaN.
inline ivec unordered(vec x, vec y) {
#if defined(__SSE2__)
  return (ivec)_mm_cmpunord_ps(x, y);
#else
  return (x != x) | (y != y);
#endif
}
// The greatest; a NaN is handed on. Of equal ones it is the last.
inline vec greatest(vec a, vec b) { return (vec)((ivec)(a > b ? a : b) | unordered(a, a)); }
inline vec greatest(vec a, vec b, vec c) {
  const vec larger = b > c ? b : c;
  return (vec)((ivec)(a > larger ? a : larger) | unordered(a, b));
}
struct Maximum {
  vec best;
  ivec nan = {};
  void take(vec x) {
    nan |= unordered(x, x);
    best = x > best ? x : best;
  }
  void take(vec x, vec y) {
#if defined(__SSE2__)
    __asm__("" : "+x"(x), "+x"(y));  // or each is loaded from memory twice
#endif
    nan |= unordered(x, y);
    const vec larger = y > x ? y : x;
    best = larger > best ? larger : best;
  }
  vec value() const { return (vec)((ivec)best | nan); }
};
inline vec load_partial(const float* p, int n) {
  vec v = {0, 0, 0, 0};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
inline void store_partial(float* p, vec v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
