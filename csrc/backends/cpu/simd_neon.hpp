// SPDX-License-Identifier: Apache-2.0
// The vector primitives of NEON (AArch64); see simd_avx512.hpp.

constexpr int kVecWidth = 4;
constexpr int kGroupPixels = 7;  // 2 x 7 x 2 = 28 of the 32 registers

typedef float vec __attribute__((vector_size(16)));
typedef int32_t ivec __attribute__((vector_size(16)));
typedef float vec_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

inline vec splat(float x) { return vec{x, x, x, x}; }
inline vec fma(vec a, vec b, vec c) {
  return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
inline vec exact_fma(vec a, vec b, vec c) { return fma(a, b, c); }
// The nearest integer, ties to even.
inline vec nearest(vec x) { return vrndnq_f32(x); }
#ifdef PVNET_DOT_BYTES
// sum + four products, all with a sign.
inline ivec dot_bytes(ivec sum, ivec x, ivec w) {
#ifdef __clang__  // whose older headers have it only if all code is compiled for the set
  __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(x), "w"(w));
  return sum;
#else
  return (ivec)vdotq_s32((int32x4_t)sum, (int8x16_t)x, (int8x16_t)w);
#endif
}
#endif
// Bytes as integers, and the lowest bytes of integers.
template <bool SIGNED>
inline ivec load_bytes(const void* p) {
  uint32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(word));
  if constexpr (SIGNED) {
    return (ivec)vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(bytes))));
  } else {
    return (ivec)vmovl_u16(vget_low_u16(vmovl_u8(bytes)));
  }
}
inline void store_bytes(void* p, ivec v) {
  const uint16x4_t halves = vmovn_u32((uint32x4_t)v);
  const uint8x8_t bytes = vmovn_u16(vcombine_u16(halves, halves));
  const uint32_t word = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
  __builtin_memcpy(p, &word, sizeof word);
}
// Hides from the compiler how x came about: else it computes it in other registers, or sums up in
// another order, and spills.
template <class T>
inline void keep(T& x) {
  __asm__("" : "+w"(x));
}
// The sum of two products of 16 bits.
inline ivec dot_pairs(ivec a, ivec b) {
  const int16x8_t x = vreinterpretq_s16_s32((int32x4_t)a), y = vreinterpretq_s16_s32((int32x4_t)b);
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
  return (ivec)vpaddq_s32(low, vmull_high_s16(x, y));
}
// The greatest; a NaN is handed on.
inline vec greatest(vec a, vec b) { return (vec)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
inline vec greatest(vec a, vec b, vec c) { return greatest(a, greatest(b, c)); }
struct Maximum {  // NEON's maximum hands NaNs on by itself
  vec best;
  void take(vec x) { best = (vec)vmaxq_f32((float32x4_t)best, (float32x4_t)x); }
  void take(vec x, vec y) {
    best = (vec)vmaxq_f32((float32x4_t)best, vmaxq_f32((float32x4_t)x, (float32x4_t)y));
  }
  vec value() const { return best; }
};
inline vec load_partial(const float* p, int n) {
  vec v = {0, 0, 0, 0};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
inline void store_partial(float* p, vec v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
