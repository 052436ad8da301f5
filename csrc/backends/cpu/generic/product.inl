// SPDX-License-Identifier: Apache-2.0
// The two operations of the inner loops of products, for sets that have none of their own.

#ifndef PVNET_OWN_PRODUCT
// The float at a + OFFSET + TIMES * step, in all places.
template <int OFFSET>
inline vec splat_at(const char* a) {
  return splat(*reinterpret_cast<const float*>(a + OFFSET));
}
template <int OFFSET, int TIMES>
inline vec splat_at(const char* a, int64_t step) {
  return splat(*reinterpret_cast<const float*>(a + OFFSET + TIMES * step));
}

inline void add_product(vec& sum, vec a, vec b) { sum = fma(a, b, sum); }
#endif

// The lower half of a vector, where that is quicker than the whole; the upper one may be anything.
#ifdef PVNET_HALF_PRODUCT
constexpr bool kHalfVectors = true;
#else
constexpr bool kHalfVectors = false;
inline void add_half_product(vec& sum, vec a, vec b) { add_product(sum, a, b); }
#endif
