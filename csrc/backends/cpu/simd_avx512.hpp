// SPDX-License-Identifier: Apache-2.0
// The vector primitives of AVX-512. Included inside the target region and the anonymous namespace
// of isa_avx512.cpp; every set has a file with the same names.

constexpr int kLanes = 16;       // floats in a vector
constexpr int kGroupPixels = 7;  // pixels of one group of a register tile (generic/conv_micro.inl)

typedef float vec __attribute__((vector_size(64)));
typedef int32_t ivec __attribute__((vector_size(64)));
typedef float vec_unaligned __attribute__((vector_size(64), aligned(4), may_alias));

inline vec splat(float x) { return _mm512_set1_ps(x); }
inline vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
// The first n lanes of memory; the others are 0 and are not read.
inline vec load_partial(const float* p, int n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p);
}
inline void store_partial(float* p, vec v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v);
}
