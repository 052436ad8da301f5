// SPDX-License-Identifier: Apache-2.0
// Elements of maps are bf16: widened when they are loaded, rounded to nearest, ties to even, when
// they are stored. Here are also the products of two of them at once.

struct elem {
  uint16_t bits;
};
typedef uint16_t hvec __attribute__((vector_size(2 * kVecWidth)));
typedef uint16_t hvec_unaligned __attribute__((vector_size(2 * kVecWidth), aligned(2), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * kVecWidth)));
typedef uint32_t uvec_unaligned __attribute__((vector_size(4 * kVecWidth), aligned(4), may_alias));

inline const elem* elems(const float* p) { return reinterpret_cast<const elem*>(p); }
inline elem* elems(float* p) { return reinterpret_cast<elem*>(p); }

inline float to_float(elem x) { return __builtin_bit_cast(float, uint32_t{x.bits} << 16); }
inline elem to_elem(float x) {
  const auto u = __builtin_bit_cast(uint32_t, x);
  const uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  return {static_cast<uint16_t>(x == x ? rounded : (u >> 16) | 0x40)};
}

using source = const elem*;
using target = elem*;
inline source elems(const MapGeometry&, const float* p) { return elems(p); }
inline target elems(const MapGeometry&, float* p) { return elems(p); }
inline float value_at(source in, int64_t i) { return to_float(in[i]); }
inline void set_value(target out, int64_t i, float x) { out[i] = to_elem(x); }

inline vec widened(hvec h) { return (vec)(__builtin_convertvector(h, uvec) << 16); }

#ifdef PVNET_DOT_PAIRS
inline hvec rounded(vec x) { return (hvec)_mm512_cvtneps_pbh(x); }
#else
inline hvec rounded(vec x) {
  const uvec u = (uvec)x;
  const uvec nearest = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  return __builtin_convertvector(x == x ? nearest : (u >> 16) | 0x40, hvec);
}
#endif

inline vec load(const elem* p) { return widened(*reinterpret_cast<const hvec_unaligned*>(p)); }
inline void store(elem* p, vec v) { *reinterpret_cast<hvec_unaligned*>(p) = rounded(v); }

#ifdef PVNET_MASKED_ELEMENTS
inline vec load_partial(const elem* p, int n) {
  return widened((hvec)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1u), p));
}
inline void store_partial(elem* p, vec v, int n) {
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1u), (__m256i)rounded(v));
}
#else
inline vec load_partial(const elem* p, int n) {
  hvec h = {};
  for (int i = 0; i < n; ++i) h[i] = p[i].bits;
  return widened(h);
}
inline void store_partial(elem* p, vec v, int n) {
  const hvec h = rounded(v);
  for (int i = 0; i < n; ++i) p[i].bits = h[i];
}
#endif

inline vec load_n(const elem* p, int n) { return n >= kVecWidth ? load(p) : load_partial(p, n); }
inline void store_n(elem* p, vec v, int n) {
  if (n >= kVecWidth) {
    store(p, v);
  } else {
    store_partial(p, v, n);
  }
}

// Words are pairs of elements, the first one in the low half.
inline uvec load_words(const uint32_t* p) { return *reinterpret_cast<const uvec_unaligned*>(p); }
inline uvec splat_word(uint32_t x) { return uvec{} + x; }

// sum + the products of both halves.
#ifdef PVNET_DOT_PAIRS
inline vec dot(vec sum, uvec x, uvec w) { return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w); }
#else
inline vec dot(vec sum, uvec x, uvec w) {
  sum = fma((vec)(x << 16), (vec)(w << 16), sum);
  return fma((vec)(x & 0xffff0000), (vec)(w & 0xffff0000), sum);
}
#endif

// The sum of the first whole vectors of n elements of two maps; how many elements these are.
inline int add_whole(source x, source y, target out, float low, float high, int n) {
  const vec least = splat(low), most = splat(high);
  int c = 0;
#pragma GCC unroll 4
  for (; c + kVecWidth <= n; c += kVecWidth) {
    store(out + c, vclamp(load(x + c) + load(y + c), least, most));
  }
  return c;
}
