// SPDX-License-Identifier: Apache-2.0
// The tables of the instruction sets; each is defined in isa_<name>.cpp, whose code other machines
// must not run. select.cpp asks the machine first.
#pragma once

#include <utility>

#include "backends/kernel_api.hpp"
#include "backends/winograd.hpp"

namespace pvnet::cpu {

#if defined(__x86_64__)
const HostKernels& avx512_kernels();
const HostKernels& avx512_bf16_kernels();
const HostKernels& avx512_dot_kernels();  // over bf16, of machines with AVX512_BF16
const HostKernels& avx512_int8_kernels();
const HostKernels& avx512_vnni_kernels();  // over 8 bits, of machines with AVX512_VNNI
const HostKernels& avx2_kernels();
const HostKernels& avx2_bf16_kernels();
const HostKernels& avx2_int8_kernels();
const HostKernels& avx2_vnni_kernels();  // over 8 bits, of machines with AVX-VNNI
#endif
#if defined(__aarch64__)
const HostKernels& neon_kernels();
const HostKernels& neon_bf16_kernels();
const HostKernels& neon_int8_kernels();
const HostKernels& neon_dot_kernels();  // over 8 bits, of machines with the dot product
#endif
const HostKernels& scalar_kernels();
const HostKernels& scalar_bf16_kernels();
const HostKernels& scalar_int8_kernels();

}  // namespace pvnet::cpu
