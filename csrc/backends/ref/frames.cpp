// SPDX-License-Identifier: Apache-2.0
// Frames in, outputs out: between the callers' layouts and channels-last maps.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {

void load_u8(const uint8_t* src, int64_t pitch_bytes, const float* scale, const float* shift,
             const MapView& out) {
  for (int y = 0; y < out.g.h; ++y) {
    for (int x = 0; x < out.g.w; ++x) {
      const uint8_t* in = src + y * pitch_bytes + static_cast<int64_t>(x) * out.g.c;
      float* to = pixel(out, y, x);
      for (int c = 0; c < out.g.c; ++c) to[c] = static_cast<float>(in[c]) * scale[c] + shift[c];
    }
  }
}

void load_f32(const float* src, const int64_t strides[3], const MapView& out) {
  for (int y = 0; y < out.g.h; ++y) {
    for (int x = 0; x < out.g.w; ++x) {
      float* to = pixel(out, y, x);
      for (int c = 0; c < out.g.c; ++c) {
        to[c] = src[c * strides[0] + y * strides[1] + x * strides[2]];
      }
    }
  }
}

void store_f32(const MapGeometry& g, const float* data, float* dst) {
  for (int c = 0; c < g.c; ++c) {
    for (int y = 0; y < g.h; ++y) {
      for (int x = 0; x < g.w; ++x) *dst++ = data == nullptr ? 0.0f : pixel(g, data, y, x)[c];
    }
  }
}

}  // namespace pvnet::ref
