// SPDX-License-Identifier: Apache-2.0
// Small vector mathematics. No libm: its results differ between machines.

inline int imin(int a, int b) { return a < b ? a : b; }
inline int imax(int a, int b) { return a > b ? a : b; }
inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

inline vec load(const float* p) { return *reinterpret_cast<const vec_unaligned*>(p); }
inline void store(float* p, vec v) { *reinterpret_cast<vec_unaligned*>(p) = v; }
// n may be kVecWidth or more: then the whole vector.
inline vec load_n(const float* p, int n) { return n >= kVecWidth ? load(p) : load_partial(p, n); }
inline void store_n(float* p, vec v, int n) {
  if (n >= kVecWidth) {
    store(p, v);
  } else {
    store_partial(p, v, n);
  }
}

// The sum of a vector's elements, by halves.
template <int HALF, class Vector, int... I>
__attribute__((always_inline)) inline Vector fold(Vector v, std::integer_sequence<int, I...> all) {
  if constexpr (HALF > 0) {
    v = v + __builtin_shufflevector(v, v, ((I + HALF) % kVecWidth)...);
    return fold<HALF / 2>(v, all);
  }
  return v;
}
template <class Vector>
__attribute__((always_inline)) inline auto total(Vector v) {
  return fold<kVecWidth / 2>(v, std::make_integer_sequence<int, kVecWidth>{})[0];
}

// Of sums by a count. By a power of two it is multiplication, to the last bit.
struct Division {
  float by, factor;
  bool exact;  // factor
  explicit Division(int n)
      : by(static_cast<float>(n)), factor(1.0f / by), exact((n & (n - 1)) == 0) {}
  vec of(vec x) const { return exact ? x * splat(factor) : x / splat(by); }
};

// x = n ln(2) + r, |r| <= ln(2)/2, for x from -87.3 to 89; a NaN stays in r.
struct Reduced {
  vec r, power;  // 2^n
};
inline Reduced reduced(vec x) {
  const vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const vec t = fma(x, splat(1.44269504f), magic);
  const vec n = t - magic;
  vec r = fma(n, splat(-0.693145752f), x);
  r = fma(n, splat(-1.42860677e-6f), r);
  const ivec e = ((ivec)t - (ivec)magic + 127) << 23;
  return {r, (vec)e};
}

// (e^r - 1 - r) / r^2 of degree 5 (Taylor: the error of e^r is 1.4e-8 at the ends, under half an
// ulp).
inline vec exp_tail(vec r) {
  vec p = splat(1.0f / 5040.0f);
  p = fma(p, r, splat(1.0f / 720.0f));
  p = fma(p, r, splat(1.0f / 120.0f));
  p = fma(p, r, splat(1.0f / 24.0f));
  p = fma(p, r, splat(1.0f / 6.0f));
  return fma(p, r, splat(0.5f));
}

constexpr float kLeastExponent = -87.3365402f;  // of a normal power of e

// exp(x). Results below 2^-126 are 0, results above 2.4e38 (x > 88.376) infinite.
inline vec vexp(vec x) {
  const vec hi = splat(89.0f), lo = splat(kLeastExponent);
  x = x > hi ? hi : x;  // a NaN stays
  const ivec tiny = x < lo;
  x = tiny ? lo : x;
  const Reduced y = reduced(x);
  vec p = fma(exp_tail(y.r), y.r, splat(1.0f));
  p = fma(p, y.r, splat(1.0f));
  return tiny ? splat(0.0f) : p * y.power;
}

// exp(x) - 1 for x <= 0, to the last bits near 0, too.
inline vec vexpm1_negative(vec x) {
  const vec lo = splat(kLeastExponent);
  const Reduced y = reduced(x < lo ? lo : x);
  return fma(fma(y.r * y.r, exp_tail(y.r), y.r), y.power, y.power - splat(1.0f));
}

// log(1 + u) for u from 0 to 1 as 2 atanh(u / (2 + u)): a series in squares up to 1/9.
inline vec vlog1p_unit(vec u) {
  const vec s = u / (splat(2.0f) + u), z = s * s;
  vec p = splat(1.0f / 15.0f);
  p = fma(p, z, splat(1.0f / 13.0f));
  p = fma(p, z, splat(1.0f / 11.0f));
  p = fma(p, z, splat(1.0f / 9.0f));
  p = fma(p, z, splat(1.0f / 7.0f));
  p = fma(p, z, splat(1.0f / 5.0f));
  p = fma(p, z, splat(1.0f / 3.0f));
  return splat(2.0f) * fma(s * z, p, s);
}

inline vec vsigmoid(vec x) { return splat(1.0f) / (splat(1.0f) + vexp(-x)); }

inline vec vabs(vec x) { return (vec)((ivec)x & 0x7fffffff); }
