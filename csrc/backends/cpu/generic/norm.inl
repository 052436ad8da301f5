// SPDX-License-Identifier: Apache-2.0
// Group norm and layer norm, in place: mean, then variance around it. Sums of a channel, or of a
// vector of channels, are f32; these are added up in f64. The order of additions does not depend on
// how groups and rows are dealt out.

// (x - mean) or its square, summed over the map: a channel a lane. Rows are summed one by one, as
// in global_pool.
inline vec channel_sums(const MapView& m, int c, int n, vec mean, bool squares) {
  vec total = splat(0.0f);
  for (int y = 0; y < m.g.h; ++y) {
    source p = elems(m.g, static_cast<const float*>(m.data)) + y * m.g.row_stride + c;
    vec row = splat(0.0f);
    for (int x = 0; x < m.g.w; ++x, p += m.g.pixel_stride) {
      const vec d = load_n(p, n) - mean;
      row = squares ? fma(d, d, row) : row + d;
    }
    total += row;
  }
  return total;
}

inline void scale_channels(const NormArgs& a, int c, int n, vec mean, vec share) {
  const MapGeometry& g = a.out.g;
  const vec scale = load_n(a.weight + c, n) * share, bias = load_n(a.bias + c, n);
  for (int y = 0; y < g.h; ++y) {
    target p = elems(g, a.out.data) + y * g.row_stride + c;
    for (int x = 0; x < g.w; ++x, p += g.pixel_stride) {
      store_n(p, activate(fma(load_n(p, n) - mean, scale, bias), a.act, a.numbers), n);
    }
  }
}

inline float inverse_deviation(double variance, double eps) {
  return static_cast<float>(1.0 / __builtin_sqrt(variance + eps));
}

// A group of at least a vector of channels, beginning with channel c.
inline void norm_wide_group(const NormArgs& a, int c, int channels) {
  const double count = static_cast<double>(channels) * a.out.g.h * a.out.g.w;
  double moments[2] = {0.0, 0.0};
  for (int pass = 0; pass < 2; ++pass) {
    const vec mean = splat(static_cast<float>(moments[0]));
    double sum = 0.0;
    for (int i = 0; i < channels; i += kVecWidth) {
      const int n = imin(channels - i, kVecWidth);
      const vec sums = channel_sums(a.out, c + i, n, mean, pass == 1);
      for (int k = 0; k < n; ++k) sum += static_cast<double>(sums[k]);
    }
    moments[pass] = sum / count;
  }
  const vec mean = splat(static_cast<float>(moments[0]));
  const vec share = splat(inverse_deviation(moments[1], a.eps));
  for (int i = 0; i < channels; i += kVecWidth) scale_channels(a, c + i, channels - i, mean, share);
}

// Whole groups that fit into a vector together: n channels from c on, `each` a group.
inline void norm_narrow_groups(const NormArgs& a, int c, int n, int each) {
  const double count = static_cast<double>(each) * a.out.g.h * a.out.g.w;
  vec mean = splat(0.0f), share = splat(0.0f);
  for (int pass = 0; pass < 2; ++pass) {
    const vec sums = channel_sums(a.out, c, n, mean, pass == 1);
    for (int first = 0; first < n; first += each) {
      double sum = 0.0;
      for (int k = 0; k < each; ++k) sum += static_cast<double>(sums[first + k]);
      const double moment = sum / count;
      for (int k = 0; k < each; ++k) {
        if (pass == 0) {
          mean[first + k] = static_cast<float>(moment);
        } else {
          share[first + k] = inverse_deviation(moment, a.eps);
        }
      }
    }
  }
  scale_channels(a, c, n, mean, share);
}

void group_norm(const NormArgs& a, int group_lo, int group_hi) {
  const int each = a.out.g.c / a.groups;
  const int together = imax(kVecWidth / each, 1);
  for (int i = group_lo; i < group_hi; i += together) {
    if (each >= kVecWidth) {
      norm_wide_group(a, i * each, each);
    } else {
      norm_narrow_groups(a, i * each, imin(together, group_hi - i) * each, each);
    }
  }
}

// (x - mean) or its square, summed over the channels of a pixel.
inline double pixel_sum(source p, int channels, vec mean, bool squares) {
  vec whole = splat(0.0f);
  double sum = 0.0;
  for (int c = 0; c < channels; c += kVecWidth) {
    const int n = imin(channels - c, kVecWidth);
    const vec d = load_n(p + c, n) - mean, v = squares ? d * d : d;
    if (n == kVecWidth) {
      whole += v;
    } else {
      for (int k = 0; k < n; ++k) sum += static_cast<double>(v[k]);
    }
  }
  for (int k = 0; k < kVecWidth; ++k) sum += static_cast<double>(whole[k]);
  return sum;
}

void layer_norm(const NormArgs& a, int row_lo, int row_hi) {
  const MapGeometry& g = a.out.g;
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < g.w; ++x) {
      const target p = elems(g, a.out.data) + y * g.row_stride + x * g.pixel_stride;
      const vec mean = splat(static_cast<float>(pixel_sum(p, g.c, splat(0.0f), false) / g.c));
      const double variance = pixel_sum(p, g.c, mean, true) / g.c;
      const vec share = splat(inverse_deviation(variance, a.eps));
      for (int c = 0; c < g.c; c += kVecWidth) {
        const int n = g.c - c;
        const vec scaled = (load_n(p + c, n) - mean) * share;
        const vec y = fma(scaled, load_n(a.weight + c, n), load_n(a.bias + c, n));
        store_n(p + c, activate(y, a.act, a.numbers), n);
      }
    }
  }
}
