// SPDX-License-Identifier: Apache-2.0
// Maps that say themselves what they store: floats, or 8 bits with a scale (backends/int8.hpp).
// What kernels take for a pointer to elements knows its map. So kernels that only read and store
// vectors of values are those of floats.

typedef uint32_t uvec __attribute__((vector_size(4 * kVecWidth)));
typedef uint32_t uvec_unaligned __attribute__((vector_size(4 * kVecWidth), aligned(4), may_alias));

inline vec as_floats(ivec x) { return __builtin_convertvector(x, vec); }

// Counts of steps, as integers; of the first n, the others are 0 and are not read.
template <bool SIGNED>
inline ivec widened_steps(const void* p) {
  return load_bytes<SIGNED>(p);
}
template <bool SIGNED>
inline ivec widened_steps(const void* p, int n) {
  if (n >= kVecWidth) return load_bytes<SIGNED>(p);
#ifdef PVNET_BYTE_MASKS
  return load_some_bytes<SIGNED>(p, n);
#else
  uint8_t some[kVecWidth] = {};
  for (int i = 0; i < n; ++i) some[i] = static_cast<const uint8_t*>(p)[i];
  return load_bytes<SIGNED>(some);
#endif
}

// What rounds to 8 bits.
struct Steps {
  float inverse = 1.0f;  // of what a step stands for
  float low = 0.0f, high = 0.0f;

  Steps() = default;
  Steps(Dtype dtype, float scale)
      : inverse(1.0f / scale), low(lowest_step(dtype)), high(highest_step(dtype)) {}
  explicit Steps(const MapGeometry& g) : Steps(g.dtype, g.scale) {}
};

// Counts between the limits of 8 bits, not rounded.
inline vec limited_steps(vec x, const Steps& s) {
  vec steps = x * splat(s.inverse);
  const vec low = splat(s.low), high = splat(s.high);
  steps = steps > low ? steps : low;
  return steps < high ? steps : high;
}
// Added to such a count it leaves the nearest integer in the lowest bytes: 1.5 * 2^23.
constexpr float kRoundsToSteps = 12582912.0f;
inline ivec rounded_steps(vec steps) { return (ivec)(steps + splat(kRoundsToSteps)); }
inline vec nearest_steps(vec x, const Steps& s) {  // as floats
  return nearest(limited_steps(x, s));
}
inline ivec to_steps(vec x, const Steps& s) { return rounded_steps(limited_steps(x, s)); }
inline void store_steps(void* p, ivec v, int n) {
  if (n >= kVecWidth) return store_bytes(p, v);
#ifdef PVNET_BYTE_MASKS
  store_some_bytes(p, v, n);
#else
  uint8_t all[kVecWidth];
  store_bytes(all, v);
  for (int i = 0; i < n; ++i) static_cast<uint8_t*>(p)[i] = all[i];
#endif
}
// The first n of vectors side by side.
template <int VECS>
inline void store_steps(char* p, const ivec (&v)[VECS], int n) {
#ifdef PVNET_STORE_TWO
  if constexpr (VECS % 2 == 0) {
    if (n >= VECS * kVecWidth) {
#pragma GCC unroll 2
      for (int i = 0; i < VECS; i += 2) store_bytes(p + i * kVecWidth, v[i], v[i + 1]);
      return;
    }
  }
#endif
#pragma GCC unroll 4
  for (int i = 0; i < VECS; ++i) store_steps(p + i * kVecWidth, v[i], n - i * kVecWidth);
}

// Elements of a map to be read.
struct source {
  const char* p = nullptr;
  Dtype dtype = Dtype::f32;
  float scale = 1.0f;

  source(std::nullptr_t) {}
  source(const char* at, Dtype d, float s) : p(at), dtype(d), scale(s) {}
  source operator+(int64_t n) const { return {p + n * element_bytes(dtype), dtype, scale}; }
  // Not by a sum: a copy that is stored and read back at once waits.
  source& operator+=(int64_t n) {
    p += n * element_bytes(dtype);
    return *this;
  }
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
  target& operator+=(int64_t n) {
    p += n * element_bytes(dtype);
    return *this;
  }
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

// The sum of the first whole vectors of n elements of two maps; how many elements these are.
// low, high: of values.
template <bool SIGN_X, bool SIGN_Y>
inline int add_steps(const source& x, const source& y, const target& out, float low, float high,
                     int n) {
  const vec step_x = splat(x.scale), step_y = splat(y.scale), inverse = splat(out.steps.inverse);
  // Rounding keeps the order of numbers: so limits may as well be steps.
  const Steps& s = out.steps;
  const vec least = splat(static_cast<float>(step_of(low, s.inverse, s.low, s.high)));
  const vec most = splat(static_cast<float>(step_of(high, s.inverse, s.low, s.high)));
  int c = 0;
#pragma GCC unroll 4
  for (; c + kVecWidth <= n; c += kVecWidth) {
    const vec a = as_floats(widened_steps<SIGN_X>(x.p + c)) * step_x;
    const vec b = as_floats(widened_steps<SIGN_Y>(y.p + c)) * step_y;
    vec steps = (a + b) * inverse;
    steps = steps > least ? steps : least;
    steps = steps < most ? steps : most;
    store_bytes(out.p + c, rounded_steps(steps));
  }
  return c;
}
inline int add_whole(const source& x, const source& y, const target& out, float low, float high,
                     int n) {
  if (is_8_bit(x.dtype) && is_8_bit(y.dtype) && is_8_bit(out.dtype)) {
    const bool sign_x = x.dtype == Dtype::int8, sign_y = y.dtype == Dtype::int8;
    if (sign_x) {
      return sign_y ? add_steps<true, true>(x, y, out, low, high, n)
                    : add_steps<true, false>(x, y, out, low, high, n);
    }
    return sign_y ? add_steps<false, true>(x, y, out, low, high, n)
                  : add_steps<false, false>(x, y, out, low, high, n);
  }
  const vec least = splat(low), most = splat(high);
  int c = 0;
  for (; c + kVecWidth <= n; c += kVecWidth) {
    store(out + c, vclamp(load(x + c) + load(y + c), least, most));
  }
  return c;
}

// Vectors side by side of a kind of map that the compiler knows: 0 are floats, 1 steps without and
// 2 those with a sign. What is stored may be of 2 for both. n: how many elements count.
constexpr int kElementKinds = 3;
inline int kind_of(Dtype d) { return d == Dtype::int8 ? 2 : d == Dtype::uint8 ? 1 : 0; }
inline int64_t bytes_of(Dtype d) { return element_bytes(d); }
template <int KIND>
struct Elements {
  static constexpr int64_t kBytes = KIND == 0 ? sizeof(float) : 1;
  float scale;
  Steps steps;
  explicit Elements(const MapGeometry& g) : scale(g.scale), steps(g) {}
  template <int VECS>
  void load(const char* p, int n, vec (&v)[VECS]) const {
#pragma GCC unroll 4
    for (int i = 0; i < VECS; ++i, p += kVecWidth * kBytes, n -= kVecWidth) {
      if constexpr (KIND == 0) {
        v[i] = load_n(reinterpret_cast<const float*>(p), n);
      } else {
        v[i] = as_floats(widened_steps < KIND == 2 > (p, n)) * splat(scale);
      }
    }
  }
  template <int VECS>
  void store(char* p, const vec (&v)[VECS], int n) const {
    if constexpr (KIND == 0) {
#pragma GCC unroll 4
      for (int i = 0; i < VECS; ++i) {
        store_n(reinterpret_cast<float*>(p) + i * kVecWidth, v[i], n - i * kVecWidth);
      }
    } else {
      ivec rounded[VECS];
#pragma GCC unroll 4
      for (int i = 0; i < VECS; ++i) rounded[i] = to_steps(v[i], steps);
      store_steps(p, rounded, n);
    }
  }
};
