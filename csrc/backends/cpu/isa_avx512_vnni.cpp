// SPDX-License-Identifier: Apache-2.0
// The kernels of plans over 8 bits compiled for AVX-512 (F, VL, DQ, BW) with VNNI: four products a
// step. Headers come before the target region, so that nothing shared with other code is compiled
// for this set; everything inside has internal linkage.
#if defined(__x86_64__)
#include "backends/cpu/isa.hpp"
#include "backends/int8.hpp"

#include <type_traits>

#include <immintrin.h>

#define PVNET_ISA_NAME "avx512"
#define PVNET_FLOAT_KERNELS avx512_kernels
#define PVNET_MASKED_ELEMENTS
#define PVNET_DOT_BYTES
#define PVNET_DOT_DEPTHWISE  // depthwise_vnni.inl
#define PVNET_WIDE_GROUPS    // 32 vector registers: groups of 7 pixels instead of 3
#ifdef __clang__
#pragma clang attribute push(                                                          \
    __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx2,fma"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx2,fma")
#endif
namespace pvnet::cpu {
namespace {
#include "backends/cpu/simd_avx512.hpp"
// simd_avx512.hpp comes first: the kernels are written over its types.
#include "backends/cpu/generic/all_int8.inl"
}  // namespace
const HostKernels& avx512_vnni_kernels() { return backend; }
}  // namespace pvnet::cpu
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
