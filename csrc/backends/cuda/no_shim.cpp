// SPDX-License-Identifier: Apache-2.0
// Builds for users have no shim: it belongs to the tests.
#include "backends/cuda/device.hpp"

namespace pvnet::cuda {

Machine* shim_machine() { return nullptr; }
void seed_shim(uint64_t) {}
std::vector<std::string> shim_refusals() { return {}; }

}  // namespace pvnet::cuda
