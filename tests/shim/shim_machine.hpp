// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/fake_cuda.hpp"

namespace pvnet::cuda {

// The machine of isa "shim", one a process.
fake::FakeCuda& the_shim();

}  // namespace pvnet::cuda
