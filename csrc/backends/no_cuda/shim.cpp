// SPDX-License-Identifier: Apache-2.0
// In builds for tests: plans for the shim can be compiled, others are refused as in stubs.cpp.
#include "backends/registry.hpp"

namespace pvnet {

Status cuda_machine(std::string_view isa) {
  if (isa == "shim" || isa == "shim-plain") return {};
  return Status(Code::unsupported,
                "[find_backend] this build has no CUDA kernels: got backend=\"cuda\", expected "
                "\"auto\", \"cpu\" or \"ref\". Use backend=\"cpu\".");
}

}  // namespace pvnet
