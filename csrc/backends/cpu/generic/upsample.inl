// SPDX-License-Identifier: Apache-2.0
// Nearest and bilinear resampling, as torch.nn.functional.interpolate.
//
// Bilinear: first along rows of the source, as far as output rows that follow each other read them,
// then between two of them. So a pixel of the source is converted once for all outputs of a row,
// and a resampled row serves every output row that lies beside it. Both go by pieces of pixels and
// channels, which stay in the first cache.

struct Tap1d {
  int lo, hi;
  float weight;  // of hi
};

// Of one direction: in -> out pixels.
struct BilinearAxis {
  int in;
  bool same, corners;
  float scale;

  BilinearAxis(int from, int to, bool aligned) : in(from), same(from == to), corners(aligned) {
    const float places = static_cast<float>(corners ? from - 1 : from);
    scale = places / static_cast<float>(corners ? imax(to - 1, 1) : to);
  }
  Tap1d tap(int i) const {
    if (same) return {i, i, 0.0f};  // a neighbour of weight 0 would hand on its NaN
    const float at = static_cast<float>(i);
    float x = corners ? at * scale : (at + 0.5f) * scale - 0.5f;
    if (x < 0.0f) x = 0.0f;
    const int lo = imin(static_cast<int>(x), in - 1);
    return {lo, imin(lo + 1, in - 1), x - static_cast<float>(lo)};
  }
};

constexpr int kUpsampleColumns = 32;  // output pixels of a piece
constexpr int kUpsampleRows = 16;     // that follow each other before the next channels' turn

// Some pixels of a row of the source, resampled to `width` outputs of VECS vectors, of which n
// channels count.
template <int KIND, int VECS>
inline void blend_columns(const MapGeometry& g, const char* row, const Tap1d* taps, int width,
                          int channels, float* out) {
  const int n = VECS == 4 ? 4 * kVecWidth : channels;
  const Elements<KIND> elements(g);
  const int64_t step = g.pixel_stride * Elements<KIND>::kBytes;
  vec left[VECS] = {}, right[VECS] = {};
  int lo = -1, hi = -1;  // what they hold
  for (int x = 0; x < width; ++x, out += VECS * kVecWidth) {
    const Tap1d t = taps[x];
    if (t.lo != lo) {
      if (t.lo == hi) {
#pragma GCC unroll 4
        for (int v = 0; v < VECS; ++v) left[v] = right[v];
      } else {
        elements.load(row + t.lo * step, n, left);
      }
      lo = t.lo;
    }
    if (t.hi != hi) {
      elements.load(row + t.hi * step, n, right);
      hi = t.hi;
    }
    const vec w_lo = splat(1.0f - t.weight), w_hi = splat(t.weight);
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) store(out + v * kVecWidth, left[v] * w_lo + right[v] * w_hi);
  }
}

template <int VECS>
inline void blend_columns_of(const MapGeometry& g, const char* row, const Tap1d* taps, int width,
                             int n, float* out) {
  if constexpr (kElementKinds > 1) {
    const int kind = kind_of(g.dtype);
    if (kind == 1) return blend_columns<1, VECS>(g, row, taps, width, n, out);
    if (kind == 2) return blend_columns<2, VECS>(g, row, taps, width, n, out);
  }
  blend_columns<0, VECS>(g, row, taps, width, n, out);
}

template <int KIND, int VECS>
inline void blend_rows(const MapGeometry& og, const float* top, const float* bottom, float weight,
                       int width, int channels, char* out) {
  const int n = VECS == 4 ? 4 * kVecWidth : channels;
  const Elements<KIND> elements(og);
  const int64_t step = og.pixel_stride * Elements<KIND>::kBytes;
  const vec w_lo = splat(1.0f - weight), w_hi = splat(weight);
  for (int x = 0; x < width; ++x, out += step) {
    vec y[VECS];
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v, top += kVecWidth, bottom += kVecWidth) {
      y[v] = load(top) * w_lo + load(bottom) * w_hi;
    }
    elements.store(out, y, n);
  }
}

// What a call reads and writes.
struct UpsampleMaps {
  const UpsampleArgs& a;
  BilinearAxis vertical;
  int64_t in_element, out_element;  // bytes

  explicit UpsampleMaps(const UpsampleArgs& args)
      : a(args),
        vertical(args.g.h, args.out.g.h, args.align_corners),
        in_element(bytes_of(args.g.dtype)),
        out_element(bytes_of(args.out.g.dtype)) {}
  const char* in(int y, int c) const {
    return reinterpret_cast<const char*>(a.data) + (y * a.g.row_stride + c) * in_element;
  }
  char* out(int y, int x, int c) const {
    const MapGeometry& g = a.out.g;
    return reinterpret_cast<char*>(a.out.data) +
           (y * g.row_stride + x * g.pixel_stride + a.out_c0 + c) * out_element;
  }
};

// n channels from c on, of `width` pixels from x on.
template <int VECS>
void upsample_piece(const UpsampleMaps& m, const Tap1d* taps, int x, int width, int c, int n,
                    int row_lo, int row_hi) {
  alignas(64) float held[2][kUpsampleColumns * VECS * kVecWidth];
  int rows[2] = {-1, -1};  // of the source; neighbours differ in their lowest bit
  const MapGeometry &g = m.a.g, &og = m.a.out.g;
  for (int y = row_lo; y < row_hi; ++y) {
    const Tap1d t = m.vertical.tap(y);
    for (int row = t.lo; row <= t.hi; ++row) {
      if (rows[row & 1] == row) continue;
      blend_columns_of<VECS>(g, m.in(row, c), taps, width, n, held[row & 1]);
      rows[row & 1] = row;
    }
    const float *top = held[t.lo & 1], *bottom = held[t.hi & 1];
    if (kElementKinds > 1 && kind_of(og.dtype) != 0) {
      blend_rows<kElementKinds - 1, VECS>(og, top, bottom, t.weight, width, n, m.out(y, x, c));
    } else {
      blend_rows<0, VECS>(og, top, bottom, t.weight, width, n, m.out(y, x, c));
    }
  }
}

void upsample_bilinear(const UpsampleArgs& a, int row_lo, int row_hi) {
  const UpsampleMaps maps(a);
  const BilinearAxis horizontal(a.g.w, a.out.g.w, a.align_corners);
  Tap1d taps[kUpsampleColumns];
  for (int x = 0; x < a.out.g.w; x += kUpsampleColumns) {
    const int width = imin(kUpsampleColumns, a.out.g.w - x);
    for (int i = 0; i < width; ++i) taps[i] = horizontal.tap(x + i);
    for (int y = row_lo; y < row_hi; y += kUpsampleRows) {
      const int end = imin(y + kUpsampleRows, row_hi);
      int c = 0;
      for (; c + 4 * kVecWidth <= a.g.c; c += 4 * kVecWidth) {
        upsample_piece<4>(maps, taps, x, width, c, 4 * kVecWidth, y, end);
      }
      for (; c + kVecWidth < a.g.c; c += 2 * kVecWidth) {
        upsample_piece<2>(maps, taps, x, width, c, imin(2 * kVecWidth, a.g.c - c), y, end);
      }
      if (c < a.g.c) upsample_piece<1>(maps, taps, x, width, c, a.g.c - c, y, end);
    }
  }
}

inline int nearest_tap(int i, int in, float scale) {
  return imin(static_cast<int>(static_cast<float>(i) * scale), in - 1);
}

void upsample_nearest(const UpsampleArgs& a, int row_lo, int row_hi) {
  const MapGeometry &g = a.g, &og = a.out.g;
  const int channels = g.c;
  const float scale_y = static_cast<float>(g.h) / static_cast<float>(og.h);
  const float scale_x = static_cast<float>(g.w) / static_cast<float>(og.w);
  for (int y = row_lo; y < row_hi; ++y) {
    const source row = elems(g, a.data) + nearest_tap(y, g.h, scale_y) * g.row_stride;
    target out = elems(og, a.out.data) + (y * og.row_stride + a.out_c0);
    for (int x = 0; x < og.w; ++x, out += og.pixel_stride) {
      const source in = row + nearest_tap(x, g.w, scale_x) * g.pixel_stride;
      for (int c = 0; c < channels; c += kVecWidth) {
        store_n(out + c, load_n(in + c, channels - c), channels - c);
      }
    }
  }
}

void upsample(const UpsampleArgs& a, int row_lo, int row_hi) {
  const MapGeometry& og = a.out.g;
  if (a.data != nullptr) {
    return a.mode == Interp::nearest ? upsample_nearest(a, row_lo, row_hi)
                                     : upsample_bilinear(a, row_lo, row_hi);
  }
  for (int y = row_lo; y < row_hi; ++y) {
    target out = elems(og, a.out.data) + (y * og.row_stride + a.out_c0);
    for (int x = 0; x < og.w; ++x, out += og.pixel_stride) {
      for (int c = 0; c < a.g.c; c += kVecWidth) store_n(out + c, splat(0.0f), a.g.c - c);
    }
  }
}
