// SPDX-License-Identifier: Apache-2.0
// Small vector mathematics and the activations. No libm: its results differ between machines.

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

// exp(x) by 2^n * p(r), |r| <= ln(2)/2, p of degree 7 (Taylor: its error is 1.4e-8 at the ends,
// under half an ulp). Results below 2^-126 are 0, results above 2.4e38 (x > 88.376) infinite.
inline vec vexp(vec x) {
  const vec hi = splat(89.0f), lo = splat(-87.3365402f);
  x = x > hi ? hi : x;  // a NaN stays
  const ivec tiny = x < lo;
  x = tiny ? lo : x;
  const vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const vec t = fma(x, splat(1.44269504f), magic);
  const vec n = t - magic;
  vec r = fma(n, splat(-0.693145752f), x);
  r = fma(n, splat(-1.42860677e-6f), r);
  vec p = splat(1.0f / 5040.0f);
  p = fma(p, r, splat(1.0f / 720.0f));
  p = fma(p, r, splat(1.0f / 120.0f));
  p = fma(p, r, splat(1.0f / 24.0f));
  p = fma(p, r, splat(1.0f / 6.0f));
  p = fma(p, r, splat(0.5f));
  p = fma(p, r, splat(1.0f));
  p = fma(p, r, splat(1.0f));
  const ivec e = ((ivec)t - (ivec)magic + 127) << 23;
  return tiny ? splat(0.0f) : p * (vec)e;
}

inline vec vsigmoid(vec x) { return splat(1.0f) / (splat(1.0f) + vexp(-x)); }

// Out of line: it would be inlined once per variant of the convolution kernel.
__attribute__((noinline)) vec act_slow(vec v, Act act) {
  const vec s = vsigmoid(v);
  return act == Act::silu ? v * s : s;
}

inline vec activate(vec v, Act act, const ActNumbers& n) {
  const vec zero = splat(0.0f);
  switch (act) {
    case Act::relu:
      return v < zero ? zero : v;  // a NaN stays a NaN
    case Act::clamp: {
      const vec low = splat(n.a), high = splat(n.b);
      v = v < low ? low : v;
      return v > high ? high : v;
    }
    case Act::silu:
    case Act::sigmoid:
      return act_slow(v, act);
    default:
      return v;
  }
}
