// SPDX-License-Identifier: Apache-2.0
// What a build without CUDA kernels says when it is asked for them. CMake chooses this folder, so
// that no caller needs an #ifdef.
#include "backends/registry.hpp"

namespace pvnet {

Status cuda_machine(std::string_view) {
  return Status(Code::unsupported,
                "[find_backend] this build has no CUDA kernels: got backend=\"cuda\", expected "
                "\"auto\", \"cpu\" or \"ref\". Use backend=\"cpu\", or install a version of pvnet "
                "that ships CUDA kernels and build it with PVNET_CUDA=ON (kernels/README.md).");
}

}  // namespace pvnet
