// SPDX-License-Identifier: Apache-2.0
// How sums of products become what a map of 8 bits or of floats stores: their scale and bias, a map
// that is added, the activation.

typedef ivec ivec_unaligned __attribute__((aligned(4), may_alias));

// How sums become results, for one block of channels.
struct QuadEnd {
  const float *scale = nullptr, *bias = nullptr;
  MapGeometry g;           // of the output
  Stored alone;            // where a map is added: what the sum is rounded to before
  Steps alone_steps;       // where that has 8 bits
  MapGeometry residual_g;  // of the map that is added
  bool bytes = false;      // it has 8 bits, and so do the others; there are only limits
  int channels = 0;
  Act act;
  ActNumbers numbers;
  Steps steps;      // where the map has 8 bits
  bool limits;      // the activation is nothing but these:
  float low, high;  // of results, or of steps

  QuadEnd(const ConvShape& s, const MapGeometry& out, const MapGeometry& more = {})
      : g(out), alone(s.alone), residual_g(more), act(s.act), numbers(s.numbers) {
    if (is_8_bit(alone.dtype)) alone_steps = Steps(alone.dtype, alone.scale);
    bytes = is_8_bit(alone.dtype) && is_8_bit(more.dtype) && is_8_bit(g.dtype) && Limits::are(act);
    limits = Limits::are(act);
    const Limits values(act, numbers);
    low = values.low, high = values.high;
    if (g.dtype == Dtype::f32) return;
    // Rounding keeps the order of numbers: so limits may as well be steps.
    steps = Steps(g);
    low = limits ? limit(low) : steps.low;
    high = limits ? limit(high) : steps.high;
  }

 private:
  float limit(float x) const {
    return static_cast<float>(step_of(x, steps.inverse, steps.low, steps.high));
  }
};

// Of a convolution that adds a map: its own result as a map would hold it, and what is added.
inline vec add_quad_residual(const QuadEnd& end, vec y, const char* residual, int n) {
  if (is_8_bit(end.alone.dtype)) {
    y = nearest_steps(y, end.alone_steps) * splat(end.alone.scale);
  }
  if (residual == nullptr) return y + splat(0.0f);
  return y + load_n(source(residual, end.residual_g.dtype, end.residual_g.scale), n);
}

inline void finish_vector(const QuadEnd& end, vec y, char* out, int v) {
  const int n = end.channels - v * kVecWidth;
  if (!end.limits) y = activate(y, end.act, end.numbers);
  if (end.g.dtype == Dtype::f32) {
    if (end.limits) y = vclamp(y, splat(end.low), splat(end.high));
    store_n(reinterpret_cast<float*>(out) + v * kVecWidth, y, n);
    return;
  }
  y = y * splat(end.steps.inverse);
  const vec low = splat(end.low), high = splat(end.high);
  y = y > low ? y : low;
  y = y < high ? y : high;
  store_steps(out + v * kVecWidth, rounded_steps(y), n);
}

// Where sums of a group of pixels lie, and where their results go.
struct QuadSums {
  const int32_t* from;  // [pixel][vecs vectors]
  int pixels, vecs;
  bool adds;
  char* out;
  const char* residual;  // nullptr: it reads as 0
};

// Whatever the map stores, with a map that is added or without.
void finish_from_scratch(const QuadEnd& end, const QuadSums& s) {
  const int64_t out_step = end.g.pixel_stride * element_bytes(end.g.dtype);
  const int64_t element = element_bytes(end.residual_g.dtype);
  for (int v = 0; v < s.vecs; ++v) {
    const vec scale = load(end.scale + v * kVecWidth), bias = load(end.bias + v * kVecWidth);
    const int n = end.channels - v * kVecWidth;
    for (int p = 0; p < s.pixels; ++p) {
      const int32_t* const sums = s.from + (p * s.vecs + v) * kVecWidth;
      const vec own =
          exact_fma(as_floats(*reinterpret_cast<const ivec_unaligned*>(sums)), scale, bias);
      const int64_t at = (p * end.residual_g.pixel_stride + v * kVecWidth) * element;
      const char* const residual = s.residual == nullptr ? nullptr : s.residual + at;
      const vec y = s.adds ? add_quad_residual(end, own, residual, n) : own;
      finish_vector(end, y, s.out + p * out_step, v);
    }
  }
}
