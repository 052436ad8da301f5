// SPDX-License-Identifier: Apache-2.0
// The activations, as torch.nn.functional has them: a NaN stays a NaN.

inline vec vclamp(vec x, vec low, vec high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

inline vec vhard_sigmoid(vec x) {
  return vclamp(x + splat(3.0f), splat(0.0f), splat(6.0f)) * splat(1.0f / 6.0f);
}

inline vec velu(vec x, vec alpha) {
  const vec zero = splat(0.0f);
  return x > zero ? x : alpha * vexpm1_negative(x > zero ? zero : x);
}

inline vec vtanh(vec x) {
  const ivec sign = (ivec)x & INT32_MIN;
  const vec e = vexpm1_negative(splat(-2.0f) * vabs(x));
  return (vec)((ivec)(-e / (e + splat(2.0f))) | sign);
}

// x * Phi(x), where Phi(-|x|) = erfc(t) / 2, t = |x| / sqrt(2), and log(erfc(t)) = t * p(t): p of
// degree 9 fits t from 0 to 5. Beyond, the tail is below 1e-12 and taken for 0.
inline vec vgelu(vec x) {
  const vec t = vabs(x) * splat(0.70710678f), end = splat(5.0f);
  vec p = splat(-6.84842007e-07f);
  p = fma(p, t, splat(1.40995435e-05f));
  p = fma(p, t, splat(-0.000124788945f));
  p = fma(p, t, splat(0.000605591747f));
  p = fma(p, t, splat(-0.00154847151f));
  p = fma(p, t, splat(-2.65770286e-05f));
  p = fma(p, t, splat(0.0193010867f));
  p = fma(p, t, splat(-0.10283754f));
  p = fma(p, t, splat(-0.636608422f));
  p = fma(p, t, splat(-1.12837982f));
  vec tail = splat(0.5f) * vexp(t * p);
  tail = t > end ? splat(0.0f) : tail;
  return x * (x < splat(0.0f) ? tail : splat(1.0f) - tail);
}

// (1 + tanh(u)) / 2 = sigmoid(2 u)
inline vec vgelu_tanh(vec x) {
  const vec cube = x * x * x;
  return x * vsigmoid(splat(2.0f * 0.79788456f) * fma(splat(0.044715f), cube, x));
}

inline vec vsoftplus(vec x) {
  const vec zero = splat(0.0f);
  return (x > zero ? x : zero) + vlog1p_unit(vexp(-vabs(x)));
}

// tanh(log(1 + e)) = n / (n + 2), n = e (e + 2), e = exp(x): 1 from x = 20 on.
inline vec vmish(vec x) {
  const vec most = splat(20.0f);
  const vec e = vexp(x > most ? most : x);
  const vec n = e * (e + splat(2.0f));
  return x * (n / (n + splat(2.0f)));
}

// Out of line: it would be inlined once per variant of the convolution kernel.
__attribute__((noinline)) vec act_slow(vec v, Act act, const ActNumbers& n) {
  switch (act) {
    case Act::silu:
      return v * vsigmoid(v);
    case Act::leaky_relu:
      return v > splat(0.0f) ? v : v * splat(n.a);
    case Act::elu:
      return velu(v, splat(n.a));
    case Act::hard_sigmoid:
      return vhard_sigmoid(v);
    case Act::hard_swish:
      return v * vhard_sigmoid(v);
    case Act::gelu:
      return vgelu(v);
    case Act::gelu_tanh:
      return vgelu_tanh(v);
    case Act::tanh:
      return vtanh(v);
    case Act::softplus:
      return vsoftplus(v);
    case Act::mish:
      return vmish(v);
    default:
      return vsigmoid(v);
  }
}

inline vec activate(vec v, Act act, const ActNumbers& n) {
  const vec zero = splat(0.0f);
  switch (act) {
    case Act::none:
    case Act::softmax:
      return v;
    case Act::relu:
      return v < zero ? zero : v;
    case Act::clamp:
      return vclamp(v, splat(n.a), splat(n.b));
    default:
      return act_slow(v, act, n);
  }
}

// The activations that are nothing but limits, none included: without a branch for every vector.
struct Limits {
  float low = -__builtin_inff(), high = __builtin_inff();

  static bool are(Act act) { return act == Act::none || act == Act::relu || act == Act::clamp; }
  Limits() = default;
  Limits(Act act, const ActNumbers& n) {
    if (act == Act::relu) low = 0.0f;
    if (act == Act::clamp) low = n.a, high = n.b;
  }
};
