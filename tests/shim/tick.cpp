// SPDX-License-Identifier: Apache-2.0
// kernels/tick.cu for a host compiler. A build may have the device's kernels, too: by the names
// that they have there.
#define pv_kernel pv_shim_kernel
#include "kernels/tick.cu"
#undef pv_kernel

#include "launch.hpp"

namespace shim {

Launch launch_of(const void* kernel, const pv_program& program, const pv_call& call, int blocks,
                 size_t shared_bytes, bool programmatic) {
  using Kernel = void (*)(pv_program, pv_call);
  const Kernel function = reinterpret_cast<Kernel>(const_cast<void*>(kernel));
  if (function == nullptr) fail("a launch of a kernel that does not exist");
  Launch launch;
  launch.blocks = blocks, launch.threads = PV_THREADS, launch.shared_bytes = shared_bytes;
  launch.programmatic = programmatic;
  launch.body = [function, program, call] { function(program, call); };
  return launch;
}

}  // namespace shim

void pv_shim_launch(int kernel, int dtype, const pv_program& program, const pv_call& call,
                    int blocks, size_t shared_bytes) {
  shim::run(shim::launch_of(pv_shim_kernel(kernel, dtype), program, call, blocks, shared_bytes));
}
