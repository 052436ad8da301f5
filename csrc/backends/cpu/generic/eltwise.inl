// SPDX-License-Identifier: Apache-2.0
// Arithmetic with activation; affine; softmax. Vectors over channels.

struct Operand {
  source p = nullptr;  // nullptr: 0
  const float* weights = nullptr;
  bool broadcast = false;  // one channel for all
};

inline vec operand_at(const Operand& o, int c, int n) {
  if (o.p == nullptr) return splat(0.0f);
  return o.broadcast ? splat(value_at(o.p, 0)) : load_n(o.p + c, n);
}
// Weights of channels.
inline vec weights_at(const Operand& o, int c, int n) {
  if (o.weights == nullptr) return splat(0.0f);
  return o.broadcast ? splat(*o.weights) : load_n(o.weights + c, n);
}

inline bool is_weights(EltOp op, int k) {
  return k > 0 && (op == EltOp::scale || op == EltOp::prelu);
}

// The sum of two maps, as it ends residual blocks.
inline int add_vectors(const EltwiseArgs& a, const Operand* x, int channels, target out) {
  const bool plain = a.op == EltOp::add && a.n == 2 && Limits::are(a.act);
  if (!plain || x[0].p == nullptr || x[1].p == nullptr || x[0].broadcast || x[1].broadcast) {
    return 0;
  }
  const Limits limits(a.act, a.numbers);
  return add_whole(x[0].p, x[1].p, out, limits.low, limits.high, channels);
}

inline void eltwise_pixel(const EltwiseArgs& a, const Operand* x, int channels, target out) {
  for (int c = add_vectors(a, x, channels, out); c < channels; c += kVecWidth) {
    const int n = channels - c;
    vec v = operand_at(x[0], c, n);
    switch (a.op) {
      case EltOp::add:
        for (int k = 1; k < a.n; ++k) v += operand_at(x[k], c, n);
        break;
      case EltOp::mul:
        for (int k = 1; k < a.n; ++k) v *= operand_at(x[k], c, n);
        break;
      case EltOp::sub:
        v -= operand_at(x[1], c, n);
        break;
      case EltOp::div:
        v /= operand_at(x[1], c, n);
        break;
      case EltOp::scale:
        v = fma(v, weights_at(x[1], c, n), weights_at(x[2], c, n));
        break;
      case EltOp::prelu:
        v = v > splat(0.0f) ? v : v * weights_at(x[1], c, n);
        break;
      case EltOp::copy:
        break;
    }
    store_n(out + c, activate(v, a.act, a.numbers), n);
  }
}

void eltwise(const EltwiseArgs& a, int row_lo, int row_hi) {
  const MapGeometry& og = a.out.g;
  // Pixels of one size that lie side by side are one long pixel; what fills them up may be
  // anything.
  bool dense = a.out_c0 == 0 && (og.pixel_stride == a.c || og.c == a.c);
  for (int k = 0; k < a.n; ++k) {
    const MapGeometry& g = a.g[k];
    dense = dense && (a.data[k] == nullptr ||
                      (g.c >= a.c && g.pixel_stride == og.pixel_stride && a.c0[k] == 0 &&
                       g.w == og.w && g.h == og.h && !is_weights(a.op, k)));
  }
  const int pixels = dense ? 1 : og.w;
  const int channels = dense ? static_cast<int>(og.pixel_stride) * (og.w - 1) + a.c : a.c;
  for (int y = row_lo; y < row_hi; ++y) {
    const target out = elems(og, a.out.data) + y * og.row_stride + a.out_c0;
    for (int x = 0; x < pixels; ++x) {
      Operand o[kMaxOperands];
      for (int k = 0; k < a.n; ++k) {
        const MapGeometry& g = a.g[k];
        const bool one = g.h == 1 && g.w == 1;
        o[k].broadcast = g.c == 1 && a.c > 1;
        if (a.data[k] == nullptr) continue;
        const int64_t at =
            (g.c == 1 ? 0 : a.c0[k]) + (one ? 0 : y * g.row_stride + x * g.pixel_stride);
        if (is_weights(a.op, k)) {
          o[k].weights = a.data[k] + at;
        } else {
          o[k].p = elems(g, a.data[k]) + at;
        }
      }
      eltwise_pixel(a, o, channels, out + x * og.pixel_stride);
    }
  }
}

void affine(const AffineArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.g.w; ++x) {
      const source in = a.data == nullptr
                            ? nullptr
                            : elems(a.g, a.data) + y * a.g.row_stride + x * a.g.pixel_stride;
      const target out =
          elems(a.out.g, a.out.data) + y * a.out.g.row_stride + x * a.out.g.pixel_stride + a.out_c0;
      for (int c = 0; c < a.g.c; c += kVecWidth) {
        const int n = a.g.c - c;
        const vec v = in == nullptr ? splat(0.0f) : load_n(in + c, n);
        store_n(out + c, fma(v, load_n(a.scale + c, n), load_n(a.shift + c, n)), n);
      }
    }
  }
}

// The floats of a vector are added in their order: the sum has one meaning for one instruction set.
inline float softmax_sum(source p, int channels, vec top) {
  vec sum = splat(0.0f);
  for (int c = 0; c < channels; c += kVecWidth) {
    const int n = imin(channels - c, kVecWidth);
    vec e = vexp(load_n(p + c, n) - top);
    if (n < kVecWidth) {
      alignas(64) float part[kVecWidth];
      store(part, e);
      e = load_partial(part, n);
    }
    sum += e;
  }
  float total = 0.0f;
  for (int i = 0; i < kVecWidth; ++i) total += sum[i];
  return total;
}

// Exponentials are made twice: between the passes there is no place that would not round them.
void softmax(const SoftmaxArgs& a, int row_lo, int row_hi) {
  const MapGeometry& g = a.out.g;
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < g.w; ++x) {
      const target p = elems(g, a.out.data) + y * g.row_stride + x * g.pixel_stride;
      float top = value_at(p, 0);
      for (int c = 1; c < g.c; ++c) top = value_at(p, c) > top ? value_at(p, c) : top;
      const vec inverse = splat(1.0f / softmax_sum(p, g.c, splat(top)));
      for (int c = 0; c < g.c; c += kVecWidth) {
        const int n = g.c - c;
        store_n(p + c, vexp(load_n(p + c, n) - splat(top)) * inverse, n);
      }
    }
  }
}
