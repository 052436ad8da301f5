// SPDX-License-Identifier: Apache-2.0
// The kernels of kernels/tick.cu on the shim, chosen and launched as on a device.
#pragma once

#include <cstddef>

#include "grid.hpp"
#include "kernels/program.h"

// As pv_kernel: 0 begin, 1 tiles, 2 end, 3 plain_tiles, 4 rare_tiles; null where there is none. A
// pointer to a function of (pv_program, pv_call) that a thread of the shim may call.
extern "C" const void* pv_shim_kernel(int kernel, int dtype);

namespace shim {

// A launch of what pv_shim_kernel gave. `programmatic`: it may begin before the one before ends.
Launch launch_of(const void* kernel, const pv_program& program, const pv_call& call, int blocks,
                 size_t shared_bytes, bool programmatic = false);

}  // namespace shim

// Runs a launch of one kernel to its end. Throws shim::Error.
void pv_shim_launch(int kernel, int dtype, const pv_program& program, const pv_call& call,
                    int blocks, size_t shared_bytes);
