// SPDX-License-Identifier: Apache-2.0
// Nearest and bilinear resampling, as torch.nn.functional.interpolate.

struct Tap1d {
  int lo, hi;
  float weight;  // of hi
};

inline Tap1d bilinear_tap(int i, int in, int out, bool corners) {
  if (in == out) return {i, i, 0.0f};  // a neighbour of weight 0 would hand on its NaN
  const float places = static_cast<float>(corners ? in - 1 : in);
  const float scale = places / static_cast<float>(corners ? imax(out - 1, 1) : out);
  float x = corners ? static_cast<float>(i) * scale : (static_cast<float>(i) + 0.5f) * scale - 0.5f;
  if (x < 0.0f) x = 0.0f;
  const int lo = imin(static_cast<int>(x), in - 1);
  return {lo, imin(lo + 1, in - 1), x - static_cast<float>(lo)};
}

inline int nearest_tap(int i, int in, int out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  return imin(static_cast<int>(static_cast<float>(i) * scale), in - 1);
}

void upsample(const UpsampleArgs& a, int row_lo, int row_hi) {
  const MapGeometry& g = a.g;
  const MapGeometry& og = a.out.g;
  for (int y = row_lo; y < row_hi; ++y) {
    const Tap1d ty = bilinear_tap(y, g.h, og.h, a.align_corners);
    for (int x = 0; x < og.w; ++x) {
      const target out = elems(og, a.out.data) + y * og.row_stride + x * og.pixel_stride + a.out_c0;
      if (a.data == nullptr) {
        for (int c = 0; c < g.c; ++c) set_value(out, c, 0.0f);
      } else if (a.mode == Interp::nearest) {
        const source in = elems(g, a.data) + nearest_tap(y, g.h, og.h) * g.row_stride +
                          nearest_tap(x, g.w, og.w) * g.pixel_stride;
        for (int c = 0; c < g.c; c += kVecWidth) store_n(out + c, load_n(in + c, g.c - c), g.c - c);
      } else {
        const Tap1d tx = bilinear_tap(x, g.w, og.w, a.align_corners);
        const source r0 = elems(g, a.data) + ty.lo * g.row_stride;
        const source r1 = elems(g, a.data) + ty.hi * g.row_stride;
        const int64_t x0 = tx.lo * g.pixel_stride, x1 = tx.hi * g.pixel_stride;
        const vec wx = splat(tx.weight), wy = splat(ty.weight);
        const vec vx = splat(1.0f - tx.weight), vy = splat(1.0f - ty.weight);
        for (int c = 0; c < g.c; c += kVecWidth) {
          const int n = g.c - c;
          const vec top = load_n(r0 + x0 + c, n) * vx + load_n(r0 + x1 + c, n) * wx;
          const vec bottom = load_n(r1 + x0 + c, n) * vx + load_n(r1 + x1 + c, n) * wx;
          store_n(out + c, top * vy + bottom * wy, n);
        }
      }
    }
  }
}
