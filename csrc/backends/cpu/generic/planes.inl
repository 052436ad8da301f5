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

void store_f32(const MapGeometry& g, const float* data, float* dst) {
  const int64_t plane = static_cast<int64_t>(g.h) * g.w;
  if (data == nullptr) {
    for (int64_t i = 0; i < plane * g.c; ++i) dst[i] = 0.0f;
    return;
  }
  for (int y = 0; y < g.h; ++y) {
    for (int x = 0; x < g.w; x += kVecWidth) {
      const source in = elems(g, data) + (y * g.row_stride + x * g.pixel_stride);
      float* const out = dst + static_cast<int64_t>(y) * g.w + x;
      const int pixels = imin(kVecWidth, g.w - x);
      if (g.pixel_stride == 1) {
        store_n(out, load_n(in, pixels), pixels);
        continue;
      }
      int c = 0;
      for (; g.c - c >= kSquareChannels; c += kVecWidth) {
        store_square(in + c, g.pixel_stride, pixels, imin(kVecWidth, g.c - c), out + c * plane,
                     plane);
      }
      for (; c < g.c; ++c) {
        for (int p = 0; p < pixels; ++p) out[c * plane + p] = value_at(in, p * g.pixel_stride + c);
      }
    }
  }
}
