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

template <bool SIGN>
struct Bytes;
template <>
struct Bytes<false> {
  typedef uint8_t type __attribute__((vector_size(4 * kVecWidth)));
  static constexpr int kLowest = 0;
};
template <>
struct Bytes<true> {
  typedef int8_t type __attribute__((vector_size(4 * kVecWidth)));
  static constexpr int kLowest = -128;
};

// Addresses of the taps of a place, as long as there is room for them.
constexpr int kPoolTaps = 64;
struct PoolTable {
  const char* taps[kPoolTaps];
  int n = 0;

  explicit PoolTable(const PoolPlace& w) {
    for (PoolTaps all(w); all.next();) taps[n++] = all.in.p;
  }
  static bool fits(const PoolArgs& a) { return a.kt * a.kh * a.kw <= kPoolTaps; }
};

template <bool SIGN>
inline void max_steps(const PoolPlace& w, char* out) {
  using bytes = typename Bytes<SIGN>::type;
  typedef bytes bytes_unaligned __attribute__((aligned(1), may_alias));
  constexpr int kWidth = 4 * kVecWidth;
  const int lowest = w.missing ? 0 : Bytes<SIGN>::kLowest, channels = w.a.seg.g.c;
  const PoolTable table(w);
  // Whole vectors, where the pixels of both maps have room for a last one that is not full.
  const MapGeometry& og = w.a.out.g;
  const int all = ceil_div(channels, kWidth) * kWidth;
  const bool room = all <= w.a.seg.g.pixel_stride && w.a.out_c0 + all <= og.pixel_stride &&
                    w.a.out_c0 + channels == og.c;
  const int whole = room ? all : channels / kWidth * kWidth;
  int c = 0;
  for (; c < whole; c += kWidth) {
    bytes best = bytes{} + static_cast<char>(lowest);
    for (int i = 0; i < table.n; ++i) {
      const bytes x = *reinterpret_cast<const bytes_unaligned*>(table.taps[i] + c);
      best = x > best ? x : best;
    }
    *reinterpret_cast<bytes_unaligned*>(out + c) = best;
  }
  for (; c < channels; c += kVecWidth) {
    const int n = channels - c;
    ivec best = ivec{} + lowest;
    for (int i = 0; i < table.n; ++i) {
      const ivec x = widened_steps<SIGN>(table.taps[i] + c, n);
      best = x > best ? x : best;
    }
    store_steps(out + c, best, n);
  }
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
  const bool steps =
      is_8_bit(g.dtype) && g.dtype == og.dtype && g.scale == og.scale && PoolTable::fits(a);
  PoolPlace w{a, 0, 0, 0, 0, 0, false};
  for (int j = 0; j < a.kt; ++j) w.missing |= a.seg.taps[j] == nullptr;
  const target begin = elems(og, a.out.data) + a.out_c0;
  for (int y = row_lo; y < row_hi; ++y) {
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
      } else if (!steps) {
        max_values(w, out);
      } else if (g.dtype == Dtype::int8) {
        max_steps<true>(w, out.p);
      } else {
        max_steps<false>(w, out.p);
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
