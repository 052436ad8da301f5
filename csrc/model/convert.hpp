// SPDX-License-Identifier: Apache-2.0
// Element types of a safetensors file and their conversion to f32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pvnet::model {

enum class Dtype : uint8_t { f32, f16, bf16, f64 };

// False when the name is not one of F32, F16, BF16, F64.
bool dtype_from_name(std::string_view name, Dtype* dtype);
size_t element_bytes(Dtype dtype);

float half_to_float(uint16_t bits);
float bfloat16_to_float(uint16_t bits);

// src: `count` little-endian elements, any alignment. f64 beyond the range of f32 becomes infinite
// (which check_weights refuses).
void convert_to_float(Dtype dtype, const void* src, size_t count, float* dst);

}  // namespace pvnet::model
