// SPDX-License-Identifier: Apache-2.0
// Frames in, outputs out: between the callers' layouts and channels-last maps.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {

template <class T>
void load_u8(const uint8_t* src, int64_t pitch_bytes, const float* scale, const float* shift,
             const MapView& out) {
  for (int y = 0; y < out.g.h; ++y) {
    for (int x = 0; x < out.g.w; ++x) {
      const uint8_t* in = src + y * pitch_bytes + static_cast<int64_t>(x) * out.g.c;
      const auto to = pixel<T>(out, y, x);
      for (int c = 0; c < out.g.c; ++c) to[c] = static_cast<float>(in[c]) * scale[c] + shift[c];
    }
  }
}

template <class T>
void load_f32(const float* src, const int64_t strides[3], const MapView& out) {
  for (int y = 0; y < out.g.h; ++y) {
    for (int x = 0; x < out.g.w; ++x) {
      const auto to = pixel<T>(out, y, x);
      for (int c = 0; c < out.g.c; ++c) {
        to[c] = src[c * strides[0] + y * strides[1] + x * strides[2]];
      }
    }
  }
}

template <class T>
void store_f32(const MapGeometry& g, const float* data, float* dst, int row_lo, int row_hi) {
  for (int c = 0; c < g.c; ++c) {
    for (int y = row_lo; y < row_hi; ++y) {
      float* const to = dst + (static_cast<int64_t>(c) * g.h + y) * g.w;
      for (int x = 0; x < g.w; ++x)
        to[x] = data == nullptr ? 0.0f : float{pixel<T>(g, data, y, x)[c]};
    }
  }
}

template void load_u8<float>(const uint8_t*, int64_t, const float*, const float*, const MapView&);
template void load_u8<Bf16>(const uint8_t*, int64_t, const float*, const float*, const MapView&);
template void load_u8<AnyElement>(const uint8_t*, int64_t, const float*, const float*,
                                  const MapView&);
template void load_f32<float>(const float*, const int64_t[3], const MapView&);
template void load_f32<Bf16>(const float*, const int64_t[3], const MapView&);
template void load_f32<AnyElement>(const float*, const int64_t[3], const MapView&);
template void store_f32<float>(const MapGeometry&, const float*, float*, int, int);
template void store_f32<Bf16>(const MapGeometry&, const float*, float*, int, int);
template void store_f32<AnyElement>(const MapGeometry&, const float*, float*, int, int);

}  // namespace pvnet::ref
