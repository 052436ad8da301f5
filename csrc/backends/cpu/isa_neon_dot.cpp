// SPDX-License-Identifier: Apache-2.0
// The kernels of plans over 8 bits compiled for NEON with the dot product: four products a step.
// Headers come before the target region, so that nothing shared with other code is compiled for
// this set; everything inside has internal linkage.
#if defined(__aarch64__)
#include "backends/cpu/isa.hpp"
#include "backends/int8.hpp"

#include <type_traits>

#include <arm_neon.h>

#define PVNET_ISA_NAME "neon"
#define PVNET_FLOAT_KERNELS neon_kernels
#define PVNET_DOT_BYTES
#define PVNET_DOT_SIGNED
#define PVNET_WIDE_GROUPS  // 32 vector registers: groups of 7 pixels instead of 3
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif
namespace pvnet::cpu {
namespace {
#include "backends/cpu/simd_neon.hpp"
// simd_neon.hpp comes first: the kernels are written over its types.
#include "backends/cpu/generic/all_int8.inl"
}  // namespace
const HostKernels& neon_dot_kernels() { return backend; }
}  // namespace pvnet::cpu
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
