// SPDX-License-Identifier: Apache-2.0
// Winograd convolution: for every group of tiles, chunk by chunk of the reduction, the tiles are
// transformed, multiplied and summed at every point, then transformed back.
//
// The bits of an output depend on its place in its tile and on the order of channels and taps only:
// neither on the group nor on who computes it.

template <int M>
struct WinogradConv {
  static constexpr int kSize = Winograd<M>::kSize, kPoints = kSize * kSize;
  const ConvArgs& a;
  const ConvShape& s;
  const WinogradLayout w;
  float* const read;
  float* const sums;

  explicit WinogradConv(const ConvArgs& args)
      : a(args), s(*args.shape), w(s), read(args.scratch), sums(read + w.read_floats()) {}

  void run(int group, int vec_lo, int vec_hi);

 private:
  void read_segment(const SegmentView& seg, const float* tap, int lo, int hi, float* to);
  void read_chunk(int tap_lo, int tap_hi, int lo, int hi);
  void multiply(int tap_lo, int tap_hi, int rows, int vec_lo, int vec_hi);
  void write(int lo, int hi, int c_lo, int c_hi);
};

// What a tile reads of one vector of channels; pixels outside [y_lo, y_hi) x [x_lo, x_hi) of the
// tile are 0.
struct TileRead {
  const elem* in;  // pixel (0, 0) of the tile, in the map or its halo or beyond
  int64_t row, pixel;
  int y_lo, y_hi, x_lo, x_hi;
  int channels;  // from this vector on
};

template <int M, bool WHOLE>
__attribute__((always_inline)) inline void transform_in(const TileRead& r, float* to,
                                                        int64_t plane) {
  constexpr int kSize = Winograd<M>::kSize;
  const int channels = WHOLE ? kVecWidth : r.channels;
  vec d[kSize][kSize];  // [x][y], then transformed along y
#pragma GCC unroll 6
  for (int x = 0; x < kSize; ++x) {
#pragma GCC unroll 6
    for (int y = 0; y < kSize; ++y) {
      const bool there = WHOLE || (y >= r.y_lo && y < r.y_hi && x >= r.x_lo && x < r.x_hi);
      d[x][y] = there ? load_n(r.in + y * r.row + x * r.pixel, channels) : splat(0.0f);
    }
    Winograd<M>::in(d[x]);
  }
#pragma GCC unroll 6
  for (int y = 0; y < kSize; ++y) {
    vec line[kSize];
#pragma GCC unroll 6
    for (int x = 0; x < kSize; ++x) line[x] = d[x][y];
    Winograd<M>::in(line);
#pragma GCC unroll 6
    for (int x = 0; x < kSize; ++x) store(to + (y * kSize + x) * plane, line[x]);
  }
}

// Whole vectors are written, and read where the pixel has room: what lies beyond the last channel
// is written over by the segment or tap that follows, or is padding of the row.
template <int M>
void WinogradConv<M>::read_segment(const SegmentView& seg, const float* tap, int lo, int hi,
                                   float* to) {
  const MapGeometry& g = seg.g;
  for (int t = lo; t < hi; ++t, to += w.row) {
    if (tap == nullptr) {
      for (int p = 0; p < kPoints; ++p) {
        for (int c = 0; c < g.c; c += kVecWidth) store(to + p * w.plane + c, splat(0.0f));
      }
      continue;
    }
    const int y = t / w.tiles_x * M - s.ph, x = t % w.tiles_x * M - s.pw;
    TileRead r{elems(tap) + y * g.row_stride + x * g.pixel_stride,
               g.row_stride,
               g.pixel_stride,
               imax(0, -g.halo_h - y),
               imin(kSize, g.h + g.halo_h - y),
               imax(0, -g.halo_w - x),
               imin(kSize, g.w + g.halo_w - x),
               g.c};
    const bool inside = r.y_lo == 0 && r.y_hi == kSize && r.x_lo == 0 && r.x_hi == kSize;
    for (int c = 0; c < g.c; c += kVecWidth, r.in += kVecWidth, r.channels -= kVecWidth) {
      if (inside && c + kVecWidth <= g.pixel_stride) {
        transform_in<M, true>(r, to + c, w.plane);
      } else {
        transform_in<M, false>(r, to + c, w.plane);
      }
    }
  }
}

template <int M>
void WinogradConv<M>::read_chunk(int tap_lo, int tap_hi, int lo, int hi) {
  float* to = read;
  for (int tap = tap_lo; tap < tap_hi; ++tap) {
    for (int i = 0; i < s.n_segs; to += s.seg_c[i++]) {
      read_segment(a.segs[i], a.segs[i].taps[tap], lo, hi, to);
    }
  }
}

template <int M>
void WinogradConv<M>::multiply(int tap_lo, int tap_hi, int rows, int vec_lo, int vec_hi) {
  ProductArgs m{};
  m.row = w.row;
  m.channels = (tap_hi - tap_lo) * s.in_c;
  m.sum_row = w.sum_row;
  m.first = tap_lo == 0;
  const auto weight = [&](int vector, int point) {
    return a.packed + w.weight(s, tap_lo, m.channels, vector, imin(point, kPoints - 1));
  };
  m.weight_vec = int64_t{kPoints} * m.channels * kVecWidth;
  const RowCut cut(rows);
  for (int p = 0; p < kPoints; ++p) {
    m.in = read + p * w.plane;
    for (int v = vec_lo; v < vec_hi; v += kBlockVecs) {
      m.weight = weight(v, p);
      m.sum = sums + p * w.sum_plane + (v - vec_lo) * kVecWidth;
      const bool last = v + kBlockVecs >= vec_hi;
      const float* const next = last ? weight(vec_lo, p + 1) : weight(v + kBlockVecs, p);
      products(m, cut, imin(kBlockVecs, vec_hi - v), next);
    }
  }
}

template <int M>
__attribute__((always_inline)) inline void transform_out(const float* sums, int64_t plane,
                                                         vec (&out)[M][M]) {
  constexpr int kSize = Winograd<M>::kSize;
  vec d[M][kSize];  // transformed along y
#pragma GCC unroll 6
  for (int x = 0; x < kSize; ++x) {
    vec column[kSize], y[M];
#pragma GCC unroll 6
    for (int i = 0; i < kSize; ++i) column[i] = load(sums + (i * kSize + x) * plane);
    Winograd<M>::out(column, y);
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) d[i][x] = y[i];
  }
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) Winograd<M>::out(d[i], out[i]);
}

// Channels [c_lo, c_hi) of tiles [lo, hi), without the outputs that lie outside the map.
template <int M>
void WinogradConv<M>::write(int lo, int hi, int c_lo, int c_hi) {
  const MapGeometry& g = a.out.g;
  for (int t = lo; t < hi; ++t) {
    const int y0 = t / w.tiles_x * M, x0 = t % w.tiles_x * M;
    const int ny = imin(M, s.out_h - y0), nx = imin(M, s.out_w - x0);
    elem* const out = elems(a.out.data) + y0 * g.row_stride + x0 * g.pixel_stride;
    const float* const from = sums + (t - lo) * w.sum_row;
    for (int c = c_lo; c < c_hi; c += kVecWidth) {
      for (int i = 0; i < ny; ++i) {
        for (int j = 0; j < nx; ++j) {
          __builtin_prefetch(out + i * g.row_stride + j * g.pixel_stride + c);
        }
      }
      vec y[M][M];
      transform_out<M>(from + c - c_lo, w.sum_plane, y);
      const vec bias = load(a.packed + c);
      const int n = c_hi - c;
      for (int i = 0; i < ny; ++i) {
        elem* line = out + i * g.row_stride + c;
        for (int j = 0; j < nx; ++j, line += g.pixel_stride) {
          vec v = y[i][j] + bias;
          if (s.residual) v = with_residual(v, residual_at(a, y0 + i, x0 + j, c), n);
          store_n(line, activate(v, s.act, s.numbers), n);
        }
      }
    }
  }
}

template <int M>
void WinogradConv<M>::run(int group, int vec_lo, int vec_hi) {
  const int lo = w.group_lo(group), hi = w.group_lo(group + 1);
  for (int v = vec_lo; v < vec_hi; v += w.sum_vecs) {
    const int end = imin(vec_hi, v + w.sum_vecs);
    for (int tap = 0; tap < s.kt; tap += w.chunk_taps) {
      const int tap_end = imin(s.kt, tap + w.chunk_taps);
      if (v == vec_lo) read_chunk(tap, tap_end, lo, hi);
      multiply(tap, tap_end, hi - lo, v, end);
    }
    write(lo, hi, v * kVecWidth, imin(s.out_c, end * kVecWidth));
  }
}

template <int M>
void winograd(const ConvArgs& a, int lo, int hi) {
  WinogradConv<M> conv(a);
  const WinogradLayout& w = conv.w;
  for (int t = lo; t < hi;) {
    const int group = t / w.units, end = imin(hi, (group + 1) * w.units);
    const int first = t - group * w.units, last = end - group * w.units;
    conv.run(group, first * kUnitVecs, imin(w.vecs, last * kUnitVecs));
    t = end;
  }
}
