// SPDX-License-Identifier: Apache-2.0
// Frames in, into maps that say themselves what they store. Values are made as floats, a piece of a
// row at a time, and stored by vectors.

constexpr int kPieceValues = 768;  // whole pixels of up to as many channels

// Values of pixels side by side, behind each other, into a row of the map from pixel x on.
inline void store_pixels(const MapGeometry& g, const target& row, int x, int pixels,
                         const float* values) {
  if (g.pixel_stride == g.c) {
    const target out = row + x * g.pixel_stride;
    const int n = pixels * g.c;
    for (int i = 0; i < n; i += kVecWidth) store_n(out + i, load_n(values + i, n - i), n - i);
    return;
  }
  for (int p = 0; p < pixels; ++p, values += g.c) {
    const target out = row + (x + p) * g.pixel_stride;
    for (int c = 0; c < g.c; c += kVecWidth) {
      store_n(out + c, load_n(values + c, g.c - c), g.c - c);
    }
  }
}

// All rows from a Frame, whose pixels() writes the values of pixels of a row from x on, and whose
// value() is one of them: for pixels too wide for a piece.
template <class Frame>
inline void fill_rows(const Frame& frame, const MapView& out) {
  const MapGeometry& g = out.g;
  const int most = kPieceValues / g.c;
  alignas(64) float values[kPieceValues];
  for (int y = 0; y < g.h; ++y) {
    const target row = elems(g, out.data) + y * g.row_stride;
    if (most == 0) {
      for (int x = 0; x < g.w; ++x) {
        for (int c = 0; c < g.c; ++c) set_value(row, x * g.pixel_stride + c, frame.value(y, x, c));
      }
      continue;
    }
    for (int x = 0; x < g.w; x += most) {
      const int n = imin(most, g.w - x);
      frame.pixels(y, x, n, values);
      store_pixels(g, row, x, n, values);
    }
  }
}

struct ByteFrame {
  const uint8_t* src;
  int64_t pitch_bytes;
  int c;
  const float *scale, *shift;
  // Scales and shifts repeat with the channels: a table makes a piece one loop over vectors.
  alignas(64) float scales[kPieceValues], shifts[kPieceValues];

  ByteFrame(const uint8_t* bytes, int64_t pitch, int channels, const float* s, const float* t)
      : src(bytes), pitch_bytes(pitch), c(channels), scale(s), shift(t) {
    for (int i = 0; i < kPieceValues && c <= kPieceValues; ++i) {
      scales[i] = scale[i % c];
      shifts[i] = shift[i % c];
    }
  }
  float value(int y, int x, int i) const {
    return static_cast<float>(src[y * pitch_bytes + static_cast<int64_t>(x) * c + i]) * scale[i] +
           shift[i];
  }
  void pixels(int y, int x, int n, float* values) const {
    const uint8_t* in = src + y * pitch_bytes + static_cast<int64_t>(x) * c;
    int i = 0;
    for (; i + kVecWidth <= n * c; i += kVecWidth) {
      const vec v = as_floats(widened_steps<false>(in + i));
      store(values + i, v * load(scales + i) + load(shifts + i));
    }
    for (; i < n * c; ++i) values[i] = static_cast<float>(in[i]) * scales[i] + shifts[i];
  }
};

void load_u8(const uint8_t* src, int64_t pitch_bytes, const float* scale, const float* shift,
             const MapView& out) {
  fill_rows(ByteFrame(src, pitch_bytes, out.g.c, scale, shift), out);
}

struct FloatFrame {
  const float* src;
  const int64_t* strides;
  int c;

  float value(int y, int x, int i) const {
    return src[i * strides[0] + y * strides[1] + x * strides[2]];
  }
  void pixels(int y, int x, int n, float* values) const {
    if (c == 3 && strides[2] == 1) {
      const float* in = src + y * strides[1] + x;
      for (int p = 0; p < n; ++p) {
        values[3 * p] = in[p];
        values[3 * p + 1] = in[p + strides[0]];
        values[3 * p + 2] = in[p + 2 * strides[0]];
      }
      return;
    }
    for (int i = 0; i < c; ++i) {
      for (int p = 0; p < n; ++p) values[p * c + i] = value(y, x + p, i);
    }
  }
};

void load_f32(const float* src, const int64_t strides[3], const MapView& out) {
  fill_rows(FloatFrame{src, strides, out.g.c}, out);
}
