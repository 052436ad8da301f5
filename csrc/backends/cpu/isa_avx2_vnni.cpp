// SPDX-License-Identifier: Apache-2.0
// The kernels of plans over 8 bits compiled for AVX2 with FMA and AVX-VNNI: four products a step.
// Headers come before the target region, so that nothing shared with other code is compiled for
// this set; everything inside has internal linkage.
#if defined(__x86_64__)
#include "backends/cpu/isa.hpp"
#include "backends/int8.hpp"

#include <type_traits>

#include <immintrin.h>

#define PVNET_ISA_NAME "avx2"
#define PVNET_FLOAT_KERNELS avx2_kernels
#define PVNET_DOT_BYTES
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avxvnni")
#endif
namespace pvnet::cpu {
namespace {
#include "backends/cpu/simd_avx2.hpp"
// simd_avx2.hpp comes first: the kernels are written over its types.
#include "backends/cpu/generic/all_int8.inl"
}  // namespace
const HostKernels& avx2_vnni_kernels() { return backend; }
}  // namespace pvnet::cpu
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
