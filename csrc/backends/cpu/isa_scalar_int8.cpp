// SPDX-License-Identifier: Apache-2.0
// The kernels of plans over 8 bits compiled for the baseline of the machine.
// Headers come before the target region, so that nothing shared with other code is compiled for
// this set; everything inside has internal linkage.
#include "backends/cpu/isa.hpp"
#include "backends/int8.hpp"

#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define PVNET_ISA_NAME "scalar"
#define PVNET_FLOAT_KERNELS scalar_kernels
namespace pvnet::cpu {
namespace {
#include "backends/cpu/simd_scalar.hpp"
// simd_scalar.hpp comes first: the kernels are written over its types.
#include "backends/cpu/generic/all_int8.inl"
}  // namespace
const HostKernels& scalar_int8_kernels() { return backend; }
}  // namespace pvnet::cpu
