// SPDX-License-Identifier: Apache-2.0
// Maps that say themselves what they store: floats, or 8 bits with a scale (backends/int8.hpp).
// What kernels take for a pointer to elements knows its map. So kernels that only read and store
// vectors of values are those of floats.

typedef uint8_t bvec __attribute__((vector_size(kVecWidth)));
typedef int8_t sbvec __attribute__((vector_size(kVecWidth)));
typedef bvec bvec_unaligned __attribute__((aligned(1), may_alias));
typedef sbvec sbvec_unaligned __attribute__((aligned(1), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * kVecWidth)));
typedef uint32_t uvec_unaligned __attribute__((vector_size(4 * kVecWidth), aligned(4), may_alias));

inline vec as_floats(ivec x) { return __builtin_convertvector(x, vec); }

// Counts of steps, as integers.
template <bool SIGNED>
inline ivec widened_steps(const void* p) {
  if constexpr (SIGNED) {
    return __builtin_convertvector(*static_cast<const sbvec_unaligned*>(p), ivec);
  } else {
    return __builtin_convertvector(*static_cast<const bvec_unaligned*>(p), ivec);
  }
}
// Of the first n of them; the others are 0 and are not read.
template <bool SIGNED>
inline ivec widened_steps(const void* p, int n) {
  if (n >= kVecWidth) return widened_steps<SIGNED>(p);
  bvec some = {};
  __builtin_memcpy(&some, p, static_cast<size_t>(n));
  return widened_steps<SIGNED>(&some);
}

// What rounds to 8 bits.
struct Steps {
  float inverse = 1.0f;         // of what a step stands for
  float low = 0.0f, high = 0.0f;

  Steps() = default;
  explicit Steps(const MapGeometry& g)
      : inverse(1.0f / g.scale), low(lowest_step(g.dtype)), high(highest_step(g.dtype)) {}
};

// Of counts between the limits of 8 bits, which are rounded. The sum has them in its lowest bits.
inline bvec rounded_steps(vec steps) {
  const uvec bits = (uvec)(steps + splat(12582912.0f));  // 1.5 * 2^23
#ifdef PVNET_MASKED_ELEMENTS
  return (bvec)_mm512_maskz_cvtepi32_epi8(static_cast<__mmask16>(-1), (__m512i)bits);
#else
  return __builtin_convertvector(bits, bvec);
#endif
}
inline bvec to_steps(vec x, const Steps& s) {
  vec steps = x * splat(s.inverse);
  const vec low = splat(s.low), high = splat(s.high);
  steps = steps > low ? steps : low;
  steps = steps < high ? steps : high;
  return rounded_steps(steps);
}
inline void store_steps(void* p, bvec v, int n) {
  if (n >= kVecWidth) {
    *static_cast<bvec_unaligned*>(p) = v;
  } else {
    __builtin_memcpy(p, &v, static_cast<size_t>(n));
  }
}

// Elements of a map to be read.
struct source {
  const char* p = nullptr;
  Dtype dtype = Dtype::f32;
  float scale = 1.0f;

  source(std::nullptr_t) {}
  source(const char* at, Dtype d, float s) : p(at), dtype(d), scale(s) {}
  source operator+(int64_t n) const { return {p + n * element_bytes(dtype), dtype, scale}; }
  source& operator+=(int64_t n) { return *this = *this + n; }
  bool operator==(std::nullptr_t) const { return p == nullptr; }
};
// And to be stored; they can be read, too.
struct target {
  char* p = nullptr;
  Dtype dtype = Dtype::f32;
  float scale = 1.0f;
  Steps steps;

  target(char* at, const MapGeometry& g) : p(at), dtype(g.dtype), scale(g.scale), steps(g) {}
  target operator+(int64_t n) const {
    target moved = *this;
    moved.p += n * element_bytes(dtype);
    return moved;
  }
  target& operator+=(int64_t n) { return *this = *this + n; }
  operator source() const { return {p, dtype, scale}; }
};

inline source elems(const MapGeometry& g, const float* p) {
  return {reinterpret_cast<const char*>(p), g.dtype, g.scale};
}
inline target elems(const MapGeometry& g, float* p) { return {reinterpret_cast<char*>(p), g}; }

inline vec load_n(source in, int n) {
  switch (in.dtype) {
    case Dtype::uint8:
      return as_floats(widened_steps<false>(in.p, n)) * splat(in.scale);
    case Dtype::int8:
      return as_floats(widened_steps<true>(in.p, n)) * splat(in.scale);
    default:
      return load_n(reinterpret_cast<const float*>(in.p), n);
  }
}
inline vec load(source in) { return load_n(in, kVecWidth); }
inline void store_n(const target& out, vec v, int n) {
  if (out.dtype == Dtype::f32) {
    store_n(reinterpret_cast<float*>(out.p), v, n);
  } else {
    store_steps(out.p, to_steps(v, out.steps), n);
  }
}
inline void store(const target& out, vec v) { store_n(out, v, kVecWidth); }
inline float value_at(source in, int64_t i) { return load_n(in + i, 1)[0]; }
inline void set_value(const target& out, int64_t i, float x) { store_n(out + i, splat(x), 1); }
