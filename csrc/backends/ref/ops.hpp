// SPDX-License-Identifier: Apache-2.0
// The operations of the reference backend, one file each. Every kernel is a plain nest of loops
// over f32 values, which it reads from elements T and rounds to T once, when it stores a result.
// Its order of additions is written at its top and depends on nothing but the shapes. They are the
// oracle of the other backends, and the reason why "pipelined equals sequential" can be demanded
// bit for bit.
#pragma once

#include <cmath>
#include <type_traits>

#include "backends/element.hpp"
#include "backends/kernel_api.hpp"
#include "backends/ref/any_element.hpp"

namespace pvnet::ref {

size_t conv_packed_floats(const ConvShape& s);
template <class T>
void conv_pack(const ConvShape& s, const float* weight, const float* bias, float* packed);
int conv_tiles(const ConvShape& s);
size_t conv_scratch_floats(const ConvShape& s);
double conv_cost(const ConvShape& s);
template <class T>
void conv(const ConvArgs& a, int lo, int hi);
// Over maps of 8 bits.
size_t int8_packed_floats(const ConvShape& s);
void int8_pack(const ConvShape& s, const float* weight, const float* bias, float* packed);
void int8_conv(const ConvArgs& a, int lo, int hi);
template <class T>
void pool(const PoolArgs& a, int row_lo, int row_hi);
template <class T>
void eltwise(const EltwiseArgs& a, int row_lo, int row_hi);
template <class T>
void upsample(const UpsampleArgs& a, int row_lo, int row_hi);
template <class T>
void global_pool(const GlobalPoolArgs& a);
template <class T>
void affine(const AffineArgs& a, int row_lo, int row_hi);
template <class T>
void softmax(const SoftmaxArgs& a, int row_lo, int row_hi);
template <class T>
void load_u8(const uint8_t* src, int64_t pitch_bytes, const float* scale, const float* shift,
             const MapView& out);
template <class T>
void load_f32(const float* src, const int64_t strides[3], const MapView& out);
template <class T>
void store_f32(const MapGeometry& g, const float* data, float* dst, int row_lo, int row_hi);
double fma_block(int64_t rounds);
template <class T>
void move(const MoveArgs& a, int row_lo, int row_hi);
template <class T>
void group_norm(const NormArgs& a, int group_lo, int group_hi);
template <class T>
void layer_norm(const NormArgs& a, int row_lo, int row_hi);

// First channel of pixel (y, x); both may lie in the halo. T = AnyElement: as the map says.
template <class T>
auto pixel(const MapGeometry& g, const float* data, int y, int x) {
  const int64_t at = y * g.row_stride + x * g.pixel_stride;
  if constexpr (std::is_same_v<T, AnyElement>) {
    return AnyPixel(g, const_cast<float*>(data)) + at;
  } else {
    return reinterpret_cast<const T*>(data) + at;
  }
}
template <class T>
auto pixel(const MapView& m, int y, int x) {
  const int64_t at = y * m.g.row_stride + x * m.g.pixel_stride;
  if constexpr (std::is_same_v<T, AnyElement>) {
    return AnyPixel(m.g, m.data) + at;
  } else {
    return reinterpret_cast<T*>(m.data) + at;
  }
}

// x * Phi(x); Phi by its tail, so that no digit is lost where it is small.
inline float gelu(float x) { return 0.5f * x * std::erfc(-0.70710678f * x); }
inline float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)));
}
inline float softplus(float x) { return x > 20.0f ? x : std::log1p(std::exp(x)); }
inline float hard_sigmoid(float x) {
  const float y = x + 3.0f;
  return (y < 0.0f ? 0.0f : y > 6.0f ? 6.0f : y) / 6.0f;
}

// As torch.nn.functional has them: NaN stays NaN. Softmax is an operation of its own.
inline float activate(Act act, const ActNumbers& n, float x) {
  switch (act) {
    case Act::relu:
      return x < 0.0f ? 0.0f : x;
    case Act::silu:
      return x / (1.0f + std::exp(-x));
    case Act::sigmoid:
      return 1.0f / (1.0f + std::exp(-x));
    case Act::clamp:
      return x < n.a ? n.a : x > n.b ? n.b : x;
    case Act::leaky_relu:
      return x > 0.0f ? x : x * n.a;
    case Act::elu:
      return x > 0.0f ? x : n.a * std::expm1(x);
    case Act::hard_sigmoid:
      return hard_sigmoid(x);
    case Act::hard_swish:
      return x * hard_sigmoid(x);
    case Act::gelu:
      return gelu(x);
    case Act::gelu_tanh:
      return gelu_tanh(x);
    case Act::tanh:
      return std::tanh(x);
    case Act::softplus:
      return softplus(x);
    case Act::mish:
      return x * std::tanh(softplus(x));
    case Act::none:
    case Act::softmax:
      break;
  }
  return x;
}

}  // namespace pvnet::ref
