// SPDX-License-Identifier: Apache-2.0
// What a build without CUDA kernels says when it is asked for them. CMake chooses this file and the
// reason, so that no caller needs an #ifdef.
#include "backends/cuda/device.hpp"

namespace pvnet::cuda {

Machine* real_machine(const char** why) {
  *why = PVNET_NO_CUDA;
  return nullptr;
}

}  // namespace pvnet::cuda
