// SPDX-License-Identifier: Apache-2.0
// Maxima, row by row: first those over the taps and rows of the window, of every column, then those
// over its columns. So what windows side by side share is compared once. Both by pieces of columns
// and channels, which stay in the first cache, and some rows before the next channels' turn: these
// share rows of the map. Columns outside the map hold what no maximum notices.

constexpr int kPoolColumns = 64;
constexpr int kPoolRows = 32;    // of a window, over all taps
constexpr int kPoolHeight = 16;  // output rows

// Some outputs of a row, some channels.
struct PoolPiece {
  const PoolArgs& a;
  bool missing;  // some firing does not exist
  int x, width;  // outputs
  int c, n;      // channels

  // Of the map that they read, from the first tap of the first output on.
  int columns() const { return (width - 1) * a.sw + (a.kw - 1) * a.dw + 1; }
};

// Where that is faster, and a piece has room for some outputs.
inline bool by_columns(const PoolArgs& a) {
  return Ordered::shared(a.kw, a.sw) && a.kt * a.kh <= kPoolRows &&
         (a.kw - 1) * a.dw < kPoolColumns / 2;
}

// Over n rows, of every column. ROWS: n, 0: any.
template <int VECS, int ROWS>
inline void column_maxima(const elem* const* rows, int n_rows, int64_t at, int64_t step, int width,
                          int channels, Ordered::type* columns) {
  const int n = VECS > 1 ? VECS * Ordered::kChannels : channels;
  const int last = (ROWS > 0 ? ROWS : n_rows) - 1;
  for (int x = 0; x < width; ++x, at += step, columns += VECS) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      const int64_t from = at + v * Ordered::kChannels;
      const int some = n - v * Ordered::kChannels;
      Ordered::type best = Ordered::load(rows[0] + from, some);
      int i = 1;
#pragma GCC unroll 2
      for (; i < last; i += 2) {
        best = greatest(Ordered::load(rows[i + 1] + from, some),
                        Ordered::load(rows[i] + from, some), best);
      }
      if (i == last) best = greatest(Ordered::load(rows[i] + from, some), best);
      columns[v] = best;
    }
  }
}

// Over the window's columns, of every output. WIDTH: of the window, 0: any.
template <int VECS, int WIDTH>
inline void window_maxima(const PoolPiece& p, const Ordered::type* columns, elem* out) {
  const int last = (WIDTH > 0 ? WIDTH : p.a.kw) - 1;
  const int n = VECS > 1 ? VECS * Ordered::kChannels : p.n;
  const int64_t tap = p.a.dw * VECS, step = p.a.sw * VECS, out_step = p.a.out.g.pixel_stride;
  const bool missing = p.missing;
  for (int x = 0; x < p.width; ++x, columns += step, out += out_step) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      const Ordered::type* of = columns + v;
      Ordered::type best = of[0];
      int kx = 1;
#pragma GCC unroll 2
      for (; kx < last; kx += 2) best = greatest(of[(kx + 1) * tap], of[kx * tap], best);
      if (kx == last) best = greatest(of[kx * tap], best);
      if (missing) best = greatest(best, Ordered::zero());
      Ordered::store(out + v * Ordered::kChannels, best, n - v * Ordered::kChannels);
    }
  }
}

template <int VECS>
void max_piece(const PoolPiece& p, int row_lo, int row_hi) {
  const PoolArgs& a = p.a;
  const MapGeometry &g = a.seg.g, &og = a.out.g;
  Ordered::type columns[kPoolColumns * VECS];
  const int all = p.columns(), left = p.x * a.sw - a.pw;
  const int lo = imin(all, imax(0, -left)), hi = imax(lo, imin(all, g.w - left));
  for (int i = 0; i < lo * VECS; ++i) columns[i] = Ordered::least();
  for (int i = hi * VECS; i < all * VECS; ++i) columns[i] = Ordered::least();
  const int64_t at = (left + lo) * g.pixel_stride + p.c;
  for (int y = row_lo; y < row_hi; ++y) {
    const elem* rows[kPoolRows];
    int n = 0;
    for (int j = 0; j < a.kt; ++j) {
      for (int ky = 0; ky < a.kh && a.seg.taps[j] != nullptr; ++ky) {
        const int in_y = y * a.sh - a.ph + ky * a.dh;
        if (in_y >= 0 && in_y < g.h) rows[n++] = elems(a.seg.taps[j]) + in_y * g.row_stride;
      }
    }
    Ordered::type* const inside = columns + lo * VECS;
    if (n == 3) {
      column_maxima<VECS, 3>(rows, n, at, g.pixel_stride, hi - lo, p.n, inside);
    } else if (n > 0) {
      column_maxima<VECS, 0>(rows, n, at, g.pixel_stride, hi - lo, p.n, inside);
    } else {
      for (int i = 0; i < (hi - lo) * VECS; ++i) inside[i] = Ordered::least();
    }
    elem* const out =
        elems(a.out.data) + y * og.row_stride + p.x * og.pixel_stride + a.out_c0 + p.c;
    if (a.kw == 3) {
      window_maxima<VECS, 3>(p, columns, out);
    } else {
      window_maxima<VECS, 0>(p, columns, out);
    }
  }
}

void max_by_columns(const PoolArgs& a, bool missing, int row_lo, int row_hi) {
  const int most = (kPoolColumns - 1 - (a.kw - 1) * a.dw) / a.sw + 1;  // outputs of a piece
  for (int x = 0; x < a.out.g.w; x += most) {
    const int width = imin(most, a.out.g.w - x);
    for (int y = row_lo; y < row_hi; y += kPoolHeight) {
      const int end = imin(y + kPoolHeight, row_hi);
      int c = 0;
      for (; c + 4 * Ordered::kChannels <= a.seg.g.c; c += 4 * Ordered::kChannels) {
        max_piece<4>({a, missing, x, width, c, 4 * Ordered::kChannels}, y, end);
      }
      for (; c + 2 * Ordered::kChannels <= a.seg.g.c; c += 2 * Ordered::kChannels) {
        max_piece<2>({a, missing, x, width, c, 2 * Ordered::kChannels}, y, end);
      }
      for (; c < a.seg.g.c; c += Ordered::kChannels) {
        max_piece<1>({a, missing, x, width, c, a.seg.g.c - c}, y, end);
      }
    }
  }
}
