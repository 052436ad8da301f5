// SPDX-License-Identifier: Apache-2.0
// Frames in.

constexpr int kMaxPattern = 8;  // channels of a frame that is loaded as one long row

// Rows without padding between the pixels: scale and shift repeat with c, so a table of kVecWidth *
// c of them makes the row one loop over vectors.
inline void load_u8_dense(const uint8_t* __restrict src, const float* __restrict scale,
                          const float* __restrict shift, int c, int n, elem* __restrict out) {
  const int period = kVecWidth * c;
  int i = 0;
  for (; i + period <= n; i += period) {
    for (int j = 0; j < period; ++j) {
      out[i + j] = to_elem(static_cast<float>(src[i + j]) * scale[j] + shift[j]);
    }
  }
  for (int j = 0; i + j < n; ++j) {
    out[i + j] = to_elem(static_cast<float>(src[i + j]) * scale[j] + shift[j]);
  }
}

void load_u8(const uint8_t* src, int64_t pitch_bytes, const float* scale, const float* shift,
             const MapView& out) {
  const MapGeometry& g = out.g;
  const bool dense = g.pixel_stride == g.c && g.c <= kMaxPattern;
  float scales[kVecWidth * kMaxPattern], shifts[kVecWidth * kMaxPattern];
  if (dense) {
    for (int i = 0; i < kVecWidth * g.c; ++i) {
      scales[i] = scale[i % g.c];
      shifts[i] = shift[i % g.c];
    }
  }
  for (int y = 0; y < g.h; ++y) {
    const uint8_t* row = src + y * pitch_bytes;
    elem* dst = elems(out.data) + y * g.row_stride;
    if (dense) {
      load_u8_dense(row, scales, shifts, g.c, g.c * g.w, dst);
      continue;
    }
    for (int x = 0; x < g.w; ++x) {
      const uint8_t* p = row + static_cast<int64_t>(x) * g.c;
      elem* q = dst + x * g.pixel_stride;
      for (int c = 0; c < g.c; ++c) q[c] = to_elem(static_cast<float>(p[c]) * scale[c] + shift[c]);
    }
  }
}

// A row of a picture whose channels lie in planes, into pixels of C elements.
template <int C>
inline void interleave(const float* __restrict row, int64_t plane, int n, elem* __restrict out) {
  for (int x = 0; x < n; ++x) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) out[x * C + c] = to_elem(row[c * plane + x]);
  }
}

// Pixels of a transposition that are done together, so that what is strided stays in the cache.
constexpr int kTransposePixels = 16;

void load_f32(const float* src, const int64_t strides[3], const MapView& out) {
  const MapGeometry& g = out.g;
  for (int y = 0; y < g.h; ++y) {
    const float* row = src + y * strides[1];
    elem* dst = elems(out.data) + y * g.row_stride;
    if (strides[0] == 1) {
      if (strides[2] == g.c && g.pixel_stride == g.c) {
        for (int i = 0; i < g.c * g.w; ++i) dst[i] = to_elem(row[i]);
        continue;
      }
      for (int x = 0; x < g.w; ++x) {
        const float* in = row + x * strides[2];
        for (int c = 0; c < g.c; ++c) dst[x * g.pixel_stride + c] = to_elem(in[c]);
      }
      continue;
    }
    if (g.c == 3 && g.pixel_stride == 3 && strides[2] == 1) {
      interleave<3>(row, strides[0], g.w, dst);
      continue;
    }
    for (int x0 = 0; x0 < g.w; x0 += kTransposePixels) {
      const int x1 = imin(x0 + kTransposePixels, g.w);
      for (int c = 0; c < g.c; ++c) {
        const float* in = row + c * strides[0];
        for (int x = x0; x < x1; ++x) dst[x * g.pixel_stride + c] = to_elem(in[x * strides[2]]);
      }
    }
  }
}
