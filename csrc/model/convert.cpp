// SPDX-License-Identifier: Apache-2.0
#include "model/convert.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace pvnet::model {

static_assert(std::endian::native == std::endian::little, "model files are read as they lie");

bool dtype_from_name(std::string_view name, Dtype* dtype) {
  if (name == "F32") {
    *dtype = Dtype::f32;
  } else if (name == "F16") {
    *dtype = Dtype::f16;
  } else if (name == "BF16") {
    *dtype = Dtype::bf16;
  } else if (name == "F64") {
    *dtype = Dtype::f64;
  } else {
    return false;
  }
  return true;
}

size_t element_bytes(Dtype dtype) {
  switch (dtype) {
    case Dtype::f16:
    case Dtype::bf16:
      return 2;
    case Dtype::f64:
      return 8;
    case Dtype::f32:
      break;
  }
  return 4;
}

float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormal: mantissa * 2^-24, exact in f32
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide = exponent == 31 ? 255u : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

float bfloat16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// A conversion of a double beyond the range of float is undefined in C++, so the range is looked at
// first. Half a unit in the last place above the largest float still rounds down to it.
static float double_to_float(double d) {
  constexpr double kRoundsToInfinity = 0x1.ffffffp127;
  if (std::isnan(d)) return std::numeric_limits<float>::quiet_NaN();
  if (std::fabs(d) >= kRoundsToInfinity) {
    return std::copysign(std::numeric_limits<float>::infinity(), d < 0 ? -1.0f : 1.0f);
  }
  return static_cast<float>(d);
}

template <class T, class F>
static void convert_each(const void* src, size_t count, float* dst, F to_float) {
  const auto* bytes = static_cast<const unsigned char*>(src);
  for (size_t i = 0; i < count; ++i) {
    T element;
    std::memcpy(&element, bytes + i * sizeof(T), sizeof(T));
    dst[i] = to_float(element);
  }
}

void convert_to_float(Dtype dtype, const void* src, size_t count, float* dst) {
  switch (dtype) {
    case Dtype::f32:
      if (count != 0) std::memcpy(dst, src, count * sizeof(float));
      break;
    case Dtype::f16:
      convert_each<uint16_t>(src, count, dst, half_to_float);
      break;
    case Dtype::bf16:
      convert_each<uint16_t>(src, count, dst, bfloat16_to_float);
      break;
    case Dtype::f64:
      convert_each<double>(src, count, dst, double_to_float);
      break;
  }
}

}  // namespace pvnet::model
