// SPDX-License-Identifier: Apache-2.0
// The baseline of whatever machine this is compiled for (SSE2 on x86-64): four floats, multiply and
// add rounded separately; see simd_avx512.hpp.

constexpr int kLanes = 4;
constexpr int kGroupPixels = 3;

typedef float vec __attribute__((vector_size(16)));
typedef int32_t ivec __attribute__((vector_size(16)));
typedef float vec_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

inline vec splat(float x) { return vec{x, x, x, x}; }
inline vec fma(vec a, vec b, vec c) { return a * b + c; }
inline vec load_partial(const float* p, int n) {
  vec v = {0, 0, 0, 0};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
inline void store_partial(float* p, vec v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
