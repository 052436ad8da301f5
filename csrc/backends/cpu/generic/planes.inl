// SPDX-License-Identifier: Apache-2.0
// Outputs: maps, whose channels lie side by side, as planes of floats. Pixels and channels change
// places a square of vectors at a time.

// One of the steps that make columns of rows: bit DISTANCE of the number of an element and of its
// row change places.
template <int DISTANCE, int... I>
inline void exchange(vec& a, vec& b, std::integer_sequence<int, I...>) {
  const vec first =
      __builtin_shufflevector(a, b, ((I & DISTANCE) == 0 ? I : kVecWidth + I - DISTANCE)...);
  b = __builtin_shufflevector(a, b, ((I & DISTANCE) == 0 ? I + DISTANCE : kVecWidth + I)...);
  a = first;
}

template <int DISTANCE = 1>
__attribute__((always_inline)) inline void transpose(vec (&v)[kVecWidth]) {
  if constexpr (DISTANCE < kVecWidth) {
#pragma GCC unroll 16
    for (int i = 0; i < kVecWidth; ++i) {
      if ((i & DISTANCE) != 0) continue;
      exchange<DISTANCE>(v[i], v[i + DISTANCE], std::make_integer_sequence<int, kVecWidth>{});
    }
    transpose<2 * DISTANCE>(v);
  }
}

// Channels [0, c) of `pixels` pixels, at most a vector's width of both.
void store_square(source in, int64_t step, int pixels, int c, float* dst, int64_t plane) {
  vec v[kVecWidth];
#pragma GCC unroll 16
  for (int p = 0; p < kVecWidth; ++p) {
    v[p] = p < pixels ? load_n(in, c) : vec{};
    in += step;
  }
  transpose(v);
  float* out[kVecWidth];
  for (int i = 0; i < kVecWidth; ++i) out[i] = dst + imin(i, c - 1) * plane;
#pragma GCC unroll 16
  for (int i = 0; i < kVecWidth; ++i) {
    if (i < c) store_n(out[i], v[i], pixels);
  }
}

// Of fewer channels, one by one.
constexpr int kSquareChannels = kVecWidth / 4;

// Few channels are written at a time: too many planes at once, each in a page of its own, are more
// than the core fetches ahead.
void store_block(const MapGeometry& g, const float* data, float* dst, int c0, int c, int row_lo,
                 int row_hi) {
  const int64_t plane = static_cast<int64_t>(g.h) * g.w;
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < g.w; x += kVecWidth) {
      const source in = elems(g, data) + (y * g.row_stride + x * g.pixel_stride + c0);
      float* const out = dst + c0 * plane + static_cast<int64_t>(y) * g.w + x;
      const int pixels = imin(kVecWidth, g.w - x);
      if (g.pixel_stride == 1) {
        store_n(out, load_n(in, pixels), pixels);
      } else if (c >= kSquareChannels) {
        store_square(in, g.pixel_stride, pixels, c, out, plane);
      } else {
        for (int i = 0; i < c; ++i) {
          for (int p = 0; p < pixels; ++p)
            out[i * plane + p] = value_at(in, p * g.pixel_stride + i);
        }
      }
    }
  }
}

void store_f32(const MapGeometry& g, const float* data, float* dst, int row_lo, int row_hi) {
  for (int c = 0; c < g.c; c += kVecWidth) {
    const int block = imin(kVecWidth, g.c - c);
    if (data != nullptr) {
      store_block(g, data, dst, c, block, row_lo, row_hi);
      continue;
    }
    for (int i = c; i < c + block; ++i) {
      float* const plane = dst + static_cast<int64_t>(i) * g.h * g.w;
      for (int64_t k = int64_t{row_lo} * g.w; k < int64_t{row_hi} * g.w; ++k) plane[k] = 0.0f;
    }
  }
}
