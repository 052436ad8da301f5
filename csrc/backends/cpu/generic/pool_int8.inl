// SPDX-License-Identifier: Apache-2.0
// Pools over maps that say themselves what they store. A maximum that stays in its map's steps is
// one of bytes; a mean of 8 bits is a sum of integers, which is exact.

struct PoolPlace {  // of one output pixel
  const PoolArgs& a;
  int ky0, ky1, kx0, kx1;  // taps inside the map
  int64_t offset;          // of tap (0, 0) from pixel (0, 0)
  bool missing;            // some firing does not exist

  int64_t at(int ky, int kx) const {
    return offset + ky * a.dh * a.seg.g.row_stride + kx * a.dw * a.seg.g.pixel_stride;
  }
};

// One tap of a place after the other. (What is called for each may not be a lambda: GCC compiles
// these for the baseline.)
struct PoolTaps {
  const PoolPlace& w;
  int j = -1, ky = 0, kx = 0;
  source in = nullptr;  // the first channel

  explicit PoolTaps(const PoolPlace& place) : w(place), ky(place.ky1) {}
  bool next() {
    if (j >= 0 && ++kx < w.kx1) {
      in += w.a.dw * w.a.seg.g.pixel_stride;
      return true;
    }
    kx = w.kx0;
    if (j < 0 || ++ky >= w.ky1) {
      if (!next_frame()) return false;
    }
    in = elems(w.a.seg.g, w.a.seg.taps[j]) + w.at(ky, kx);
    return true;
  }

 private:
  bool next_frame() {
    ky = w.ky0;
    if (w.ky0 >= w.ky1 || w.kx0 >= w.kx1) return false;
    do ++j;
    while (j < w.a.kt && w.a.seg.taps[j] == nullptr);
    return j < w.a.kt;
  }
};

// Maxima of bytes, row by row: first those over the taps and rows of the window, of every column,
// then those over its columns. Both by pieces of channels, so that what waits in between stays in
// the first cache. Columns outside the map hold what no maximum notices.
constexpr int kPoolColumns = 256;
constexpr int kPoolRows = 64;

struct PoolRows {
  const PoolArgs& a;
  const char* rows[kPoolRows];  // pixel 0 of rows of the window inside the map
  int n = 0;
  bool missing = false;
  bool sign;

  // From the first tap of the first output on.
  static int columns(const PoolArgs& a) {
    return imax(a.pw + a.seg.g.w, (a.out.g.w - 1) * a.sw + (a.kw - 1) * a.dw + 1);
  }
  static bool fit(const PoolArgs& a) {
    return (!a.is_max || columns(a) <= kPoolColumns) && a.kt * a.kh <= kPoolRows;
  }
  PoolRows(const PoolArgs& args, int y) : a(args), sign(args.seg.g.dtype == Dtype::int8) {
    const MapGeometry& g = a.seg.g;
    for (int j = 0; j < a.kt; ++j) {
      missing |= a.seg.taps[j] == nullptr;
      for (int ky = 0; ky < a.kh && a.seg.taps[j] != nullptr; ++ky) {
        const int in_y = y * a.sh - a.ph + ky * a.dh;
        if (in_y < 0 || in_y >= g.h) continue;
        rows[n++] = reinterpret_cast<const char*>(a.seg.taps[j]) + in_y * g.row_stride;
      }
    }
  }
};

// WIDTH channels of pixels of a row.
template <bool SIGN, int WIDTH>
struct ByteVector {
  using byte = std::conditional_t<SIGN, int8_t, uint8_t>;
  typedef byte type __attribute__((vector_size(WIDTH)));
  typedef type unaligned __attribute__((aligned(1), may_alias));
  static constexpr byte kLowest = SIGN ? -128 : 0;

  static type at(const char* p) { return *reinterpret_cast<const unaligned*>(p); }
};

// Of every column. ROWS: of the window, 0: any number.
template <bool SIGN, int WIDTH, int ROWS>
inline void max_of_columns(const PoolRows& r, int c,
                           typename ByteVector<SIGN, WIDTH>::type* columns) {
  using Bytes = ByteVector<SIGN, WIDTH>;
  const int64_t step = r.a.seg.g.pixel_stride;
  const char* rows[kPoolRows];
  const int n = ROWS > 0 ? ROWS : r.n;
  for (int i = 0; i < n; ++i) rows[i] = r.rows[i] + c;
  int64_t at = 0;
  for (int x = 0; x < r.a.seg.g.w; ++x, at += step) {
    typename Bytes::type best = Bytes::at(rows[0] + at);
#pragma GCC unroll 4
    for (int i = 1; i < n; ++i) {
      const typename Bytes::type v = Bytes::at(rows[i] + at);
      best = v > best ? v : best;
    }
    columns[x] = best;
  }
}

// WIDTH channels from c on, into a row of the output. Greater steps are greater values: so a
// maximum is one of steps, whatever the output stores.
template <bool SIGN, int WIDTH>
inline void max_piece(const PoolRows& r, int c, const target& out) {
  using Bytes = ByteVector<SIGN, WIDTH>;
  using bytes = typename Bytes::type;
  const MapGeometry &g = r.a.seg.g, &og = r.a.out.g;
  const bytes lowest = bytes{} + Bytes::kLowest;
  alignas(64) bytes columns[kPoolColumns];
  const int n = PoolRows::columns(r.a), first = r.a.pw;
  for (int x = 0; x < first; ++x) columns[x] = lowest;
  for (int x = first + g.w; x < n; ++x) columns[x] = lowest;
  if (r.n == 0) {
    for (int x = 0; x < g.w; ++x) columns[first + x] = lowest;
  } else if (r.n == 3) {
    max_of_columns<SIGN, WIDTH, 3>(r, c, columns + first);
  } else {
    max_of_columns<SIGN, WIDTH, 0>(r, c, columns + first);
  }
  const bool raw = g.dtype == og.dtype && g.scale == og.scale;
  const bytes begin = r.missing ? bytes{} : lowest;
  const vec scale = splat(g.scale);
  target to = out;
  const bytes* window = columns;
  for (int x = 0; x < og.w; ++x, to += og.pixel_stride, window += r.a.sw) {
    bytes best = begin;
    const bytes* column = window;
    for (int kx = 0; kx < r.a.kw; ++kx, column += r.a.dw) best = *column > best ? *column : best;
    if (raw) {
      *reinterpret_cast<typename Bytes::unaligned*>(to.p) = best;
      continue;
    }
    alignas(64) char steps[WIDTH];
    *reinterpret_cast<typename Bytes::unaligned*>(steps) = best;
    for (int i = 0; i < WIDTH; i += kVecWidth) {
      store(to + i, as_floats(load_bytes<SIGN>(steps + i)) * scale);
    }
  }
}

// What no piece has room for, channel by channel.
template <bool SIGN>
inline void max_rest(const PoolRows& r, int c, target out) {
  using byte = std::conditional_t<SIGN, int8_t, uint8_t>;
  const MapGeometry &g = r.a.seg.g, &og = r.a.out.g;
  for (int x = 0; x < og.w; ++x, out += og.pixel_stride) {
    int best = r.missing ? 0 : SIGN ? -128 : 0;
    for (int kx = 0; kx < r.a.kw; ++kx) {
      const int in_x = x * r.a.sw - r.a.pw + kx * r.a.dw;
      if (in_x < 0 || in_x >= g.w) continue;
      for (int i = 0; i < r.n; ++i) {
        const int v = *reinterpret_cast<const byte*>(r.rows[i] + in_x * g.pixel_stride + c);
        best = imax(best, v);
      }
    }
    set_value(out, 0, static_cast<float>(best) * g.scale);
  }
}

template <bool SIGN>
inline void max_row(const PoolArgs& a, int y) {
  const MapGeometry &g = a.seg.g, &og = a.out.g;
  const PoolRows rows(a, y);
  const target out = elems(og, a.out.data) + (y * og.row_stride + a.out_c0);
  // A last piece that is not full is taken whole where the pixels of both maps have room.
  const int all = ceil_div(g.c, 16) * 16;
  const bool room =
      all <= g.pixel_stride && a.out_c0 + all <= og.pixel_stride && a.out_c0 + g.c == og.c;
  const int whole = room ? all : g.c / 16 * 16;
  int c = 0;
  for (; c + 4 * kVecWidth <= whole; c += 4 * kVecWidth) {
    max_piece<SIGN, 4 * kVecWidth>(rows, c, out + c);
  }
  for (; c < whole; c += 16) max_piece<SIGN, 16>(rows, c, out + c);
  for (; c < g.c; ++c) max_rest<SIGN>(rows, c, out + c);
}

inline void max_values(const PoolPlace& w, const target& out) {
  for (int c = 0; c < w.a.seg.g.c; c += kVecWidth) {
    const int n = w.a.seg.g.c - c;
    Maximum best;
    best.best = splat(w.missing ? 0.0f : -__builtin_inff());
    for (PoolTaps taps(w); taps.next();) best.take(load_n(taps.in + c, n));
    store_n(out + c, best.value(), n);
  }
}

// Sums of one vector of channels over several places: steps, or values.
struct VectorSum {
  ivec steps = {};
  vec values = {};

  void add(const source& in, int n) {
    if (in.dtype == Dtype::f32) {
      values += load_n(in, n);
    } else {
      steps +=
          in.dtype == Dtype::int8 ? widened_steps<true>(in.p, n) : widened_steps<false>(in.p, n);
    }
  }
  vec value(const MapGeometry& g) const {
    return g.dtype == Dtype::f32 ? values : as_floats(steps) * splat(g.scale);
  }
};

// Means of bytes, pixel after pixel, over rows of the window. Their sums fit words.
struct MeanPlace {
  const PoolRows& rows;
  int64_t at;  // bytes from pixel 0 to the first tap inside the map
  int width;   // taps of a row inside the map
  Division division;
};

// n channels from c on; WIDTH: as that of the place, 0: any.
template <bool SIGN, int VECS, int WIDTH>
inline void mean_channels(const MeanPlace& w, int c, int channels, const target& out) {
  const PoolArgs& a = w.rows.a;
  const int n = VECS > 1 ? VECS * kVecWidth : channels;
  const int rows = w.rows.n, width = WIDTH > 0 ? WIDTH : w.width;
  const int64_t step = a.dw * a.seg.g.pixel_stride;
  ivec sum[VECS] = {};
  for (int i = 0; i < rows; ++i) {
    const char* in = w.rows.rows[i] + w.at + c;
#pragma GCC unroll 3
    for (int kx = 0; kx < width; ++kx, in += step) {
#pragma GCC unroll 4
      for (int v = 0; v < VECS; ++v) {
        sum[v] += widened_steps<SIGN>(in + v * kVecWidth, n - v * kVecWidth);
      }
    }
  }
  const vec scale = splat(a.seg.g.scale);
  vec mean[VECS];
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) mean[v] = w.division.of(as_floats(sum[v]) * scale);
  if (out.dtype == Dtype::f32) {
#pragma GCC unroll 4
    for (int v = 0; v < VECS; ++v) {
      store_n(reinterpret_cast<float*>(out.p) + v * kVecWidth, mean[v], n - v * kVecWidth);
    }
    return;
  }
#pragma GCC unroll 4
  for (int v = 0; v < VECS; ++v) sum[v] = to_steps(mean[v], out.steps);
  store_steps(out.p, sum, n);
}

template <bool SIGN, int WIDTH>
inline void mean_pixel(const MeanPlace& w, target out) {
  const int channels = w.rows.a.seg.g.c;
  int c = 0;
  for (; c + 4 * kVecWidth <= channels; c += 4 * kVecWidth, out += 4 * kVecWidth) {
    mean_channels<SIGN, 4, WIDTH>(w, c, 4 * kVecWidth, out);
  }
  for (; c < channels; c += kVecWidth, out += kVecWidth) {
    mean_channels<SIGN, 1, WIDTH>(w, c, channels - c, out);
  }
}

template <bool SIGN>
inline void mean_row(const PoolArgs& a, int y) {
  const MapGeometry &g = a.seg.g, &og = a.out.g;
  const PoolRows rows(a, y);
  const int in_y = y * a.sh - a.ph;
  const int ky0 = in_y < 0 ? ceil_div(-in_y, a.dh) : 0;
  const int height = imax(0, imin(a.kh, ceil_div(g.h - in_y, a.dh)) - ky0);
  target out = elems(og, a.out.data) + (y * og.row_stride + a.out_c0);
  for (int x = 0; x < og.w; ++x, out += og.pixel_stride) {
    const int in_x = x * a.sw - a.pw;
    const int kx0 = in_x < 0 ? ceil_div(-in_x, a.dw) : 0;
    const int width = imax(0, imin(a.kw, ceil_div(g.w - in_x, a.dw)) - kx0);
    const int count = a.kt * (a.count_include_pad ? a.kh * a.kw : imax(1, height * width));
    const MeanPlace place{rows, (in_x + kx0 * a.dw) * g.pixel_stride, width, Division(count)};
    if (width == 2) {
      mean_pixel<SIGN, 2>(place, out);
    } else if (width == 3) {
      mean_pixel<SIGN, 3>(place, out);
    } else {
      mean_pixel<SIGN, 0>(place, out);
    }
  }
}

inline void mean_values(const PoolPlace& w, float divisor, const target& out) {
  for (int c = 0; c < w.a.seg.g.c; c += kVecWidth) {
    const int n = w.a.seg.g.c - c;
    VectorSum sum;
    for (PoolTaps taps(w); taps.next();) sum.add(taps.in + c, n);
    store_n(out + c, sum.value(w.a.seg.g) / splat(divisor), n);
  }
}

void pool(const PoolArgs& a, int row_lo, int row_hi) {
  const MapGeometry &g = a.seg.g, &og = a.out.g;
  const bool steps = is_8_bit(g.dtype) && PoolRows::fit(a);
  PoolPlace w{a, 0, 0, 0, 0, 0, false};
  for (int j = 0; j < a.kt; ++j) w.missing |= a.seg.taps[j] == nullptr;
  const target begin = elems(og, a.out.data) + a.out_c0;
  for (int y = row_lo; y < row_hi; ++y) {
    if (steps && !a.is_max) {
      g.dtype == Dtype::int8 ? mean_row<true>(a, y) : mean_row<false>(a, y);
      continue;
    }
    if (steps) {
      g.dtype == Dtype::int8 ? max_row<true>(a, y) : max_row<false>(a, y);
      continue;
    }
    const int in_y = y * a.sh - a.ph;
    w.ky0 = in_y < 0 ? ceil_div(-in_y, a.dh) : 0;
    w.ky1 = imax(w.ky0, imin(a.kh, ceil_div(g.h - in_y, a.dh)));
    for (int x = 0; x < og.w; ++x) {
      const int in_x = x * a.sw - a.pw;
      w.kx0 = in_x < 0 ? ceil_div(-in_x, a.dw) : 0;
      w.kx1 = imax(w.kx0, imin(a.kw, ceil_div(g.w - in_x, a.dw)));
      w.offset = in_y * g.row_stride + in_x * g.pixel_stride;
      const target out = begin + (y * og.row_stride + x * og.pixel_stride);
      if (!a.is_max) {
        const int inside = imax(1, (w.ky1 - w.ky0) * (w.kx1 - w.kx0));
        mean_values(w, static_cast<float>(a.kt * (a.count_include_pad ? a.kh * a.kw : inside)),
                    out);
      } else {
        max_values(w, out);
      }
    }
  }
}

// Rows of floats are summed one by one and then added up, so that a large map loses no accuracy.
void global_pool(const GlobalPoolArgs& a) {
  const MapGeometry& g = a.seg.g;
  const float n_values = static_cast<float>(a.window) * static_cast<float>(g.h * g.w);
  const target out = elems(a.out.g, a.out.data) + a.out_c0;
  for (int c = 0; c < g.c; c += kVecWidth) {
    const int n = g.c - c;
    VectorSum total;
    for (int j = 0; j < a.window; ++j) {
      if (a.seg.taps[j] == nullptr) continue;
      for (int y = 0; y < g.h; ++y) {
        source in = elems(g, a.seg.taps[j]) + (y * g.row_stride + c);
        VectorSum row;
        for (int x = 0; x < g.w; ++x, in += g.pixel_stride) row.add(in, n);
        total.steps += row.steps;
        total.values += row.values;
      }
    }
    store_n(out + c, total.value(g) / splat(n_values), n);
  }
}
