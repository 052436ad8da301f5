// SPDX-License-Identifier: Apache-2.0
// Pools: vectors over channels, four at a time, the window clipped to the map once per pixel.

struct PoolWindow {
  int ky0, ky1, kx0, kx1;  // taps inside the map
  const float* const* taps;
  int kt;
  bool missing;    // some firing does not exist
  int64_t offset;  // of tap (0, 0) from pixel (0, 0)
  int64_t y_step, x_step;
};

template <int VECS>
inline vec pool_load(const elem* in, int v, int n) {
  return VECS > 1 ? load(in + v * kVecWidth) : load_n(in, n);
}

// WIDTH: pixels of a row of the window, 0: as the window says.
template <int VECS, int WIDTH>
inline void max_channels(const PoolWindow& w, int c, int n, elem* out) {
  Maximum acc[VECS];
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) acc[v].best = splat(w.missing ? 0.0f : -__builtin_inff());
  for (int j = 0; j < w.kt; ++j) {
    if (w.taps[j] == nullptr) continue;
    for (int ky = w.ky0; ky < w.ky1; ++ky) {
      const elem* in = elems(w.taps[j]) + w.offset + ky * w.y_step + w.kx0 * w.x_step + c;
      const int width = WIDTH > 0 ? WIDTH : w.kx1 - w.kx0;
      int kx = 0;
#pragma GCC unroll 2
      for (; kx + 1 < width; kx += 2, in += 2 * w.x_step) {
#pragma GCC unroll 4
        for (int v = 0; v < VECS; ++v) {
          acc[v].take(pool_load<VECS>(in, v, n), pool_load<VECS>(in + w.x_step, v, n));
        }
      }
      if (kx == width) continue;
#pragma GCC unroll 4
      for (int v = 0; v < VECS; ++v) acc[v].take(pool_load<VECS>(in, v, n));
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v)
    store_n(out + v * kVecWidth, acc[v].value(), VECS > 1 ? kVecWidth : n);
}

template <int VECS>
inline void mean_channels(const PoolWindow& w, int c, int n, const Division& division, elem* out) {
  vec acc[VECS];
  for (int v = 0; v < VECS; ++v) acc[v] = splat(0.0f);
  for (int j = 0; j < w.kt; ++j) {
    if (w.taps[j] == nullptr) continue;
    for (int ky = w.ky0; ky < w.ky1; ++ky) {
      const elem* in = elems(w.taps[j]) + w.offset + ky * w.y_step + w.kx0 * w.x_step + c;
      for (int kx = w.kx0; kx < w.kx1; ++kx, in += w.x_step) {
#pragma GCC unroll 4
        for (int v = 0; v < VECS; ++v) acc[v] += pool_load<VECS>(in, v, n);
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) acc[v] = division.of(acc[v]);
  const int some = VECS > 1 ? VECS * kVecWidth : n;
  Elements<0>::store(reinterpret_cast<char*>(out), acc, some);
}

template <bool IS_MAX, int VECS>
inline void pool_channels(const PoolWindow& w, int c, int n, const Division& division, elem* out) {
  if constexpr (IS_MAX) {
    switch (w.kx1 - w.kx0) {
      case 2:
        return max_channels<VECS, 2>(w, c, n, out);
      case 3:
        return max_channels<VECS, 3>(w, c, n, out);
      default:
        return max_channels<VECS, 0>(w, c, n, out);
    }
  } else {
    mean_channels<VECS>(w, c, n, division, out);
  }
}

template <bool IS_MAX>
void pool_rows(const PoolArgs& a, int row_lo, int row_hi) {
  const MapGeometry& g = a.seg.g;
  PoolWindow w;
  w.taps = a.seg.taps;
  w.kt = a.kt;
  w.missing = false;
  for (int j = 0; j < a.kt; ++j) w.missing |= a.seg.taps[j] == nullptr;
  w.y_step = a.dh * g.row_stride;
  w.x_step = a.dw * g.pixel_stride;
  for (int y = row_lo; y < row_hi; ++y) {
    const int in_y = y * a.sh - a.ph;
    w.ky0 = in_y < 0 ? ceil_div(-in_y, a.dh) : 0;
    w.ky1 = imax(w.ky0, imin(a.kh, ceil_div(g.h - in_y, a.dh)));
    for (int x = 0; x < a.out.g.w; ++x) {
      const int in_x = x * a.sw - a.pw;
      w.kx0 = in_x < 0 ? ceil_div(-in_x, a.dw) : 0;
      w.kx1 = imax(w.kx0, imin(a.kw, ceil_div(g.w - in_x, a.dw)));
      w.offset = in_y * g.row_stride + in_x * g.pixel_stride;
      const int inside = imax(1, (w.ky1 - w.ky0) * (w.kx1 - w.kx0));
      const Division division(a.kt * (a.count_include_pad ? a.kh * a.kw : inside));
      elem* out = elems(a.out.data) + y * a.out.g.row_stride + x * a.out.g.pixel_stride + a.out_c0;
      int c = 0;
      for (; c + 4 * kVecWidth <= g.c; c += 4 * kVecWidth) {
        pool_channels<IS_MAX, 4>(w, c, 4 * kVecWidth, division, out + c);
      }
      for (; c < g.c; c += kVecWidth) pool_channels<IS_MAX, 1>(w, c, g.c - c, division, out + c);
    }
  }
}

void pool(const PoolArgs& a, int row_lo, int row_hi) {
  if (a.is_max && by_columns(a)) {
    bool missing = false;
    for (int j = 0; j < a.kt; ++j) missing |= a.seg.taps[j] == nullptr;
    max_by_columns(a, missing, row_lo, row_hi);
  } else if (a.is_max) {
    pool_rows<true>(a, row_lo, row_hi);
  } else {
    pool_rows<false>(a, row_lo, row_hi);
  }
}

// Rows are summed one by one and then added up, so that a large map loses no accuracy.
void global_pool(const GlobalPoolArgs& a) {
  const MapGeometry& g = a.seg.g;
  const float n_values = static_cast<float>(a.window) * static_cast<float>(g.h * g.w);
  for (int c = 0; c < g.c; c += kVecWidth) {
    const int n = g.c - c;
    vec total = splat(0.0f);
    for (int j = 0; j < a.window; ++j) {
      if (a.seg.taps[j] == nullptr) continue;
      for (int y = 0; y < g.h; ++y) {
        const elem* in = elems(a.seg.taps[j]) + y * g.row_stride + c;
        vec row = splat(0.0f);
        for (int x = 0; x < g.w; ++x) row += load_n(in + x * g.pixel_stride, n);
        total += row;
      }
    }
    store_n(elems(a.out.data) + a.out_c0 + c, total / splat(n_values), n);
  }
}
