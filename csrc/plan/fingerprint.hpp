// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "plan/plan.hpp"

namespace pvnet {

// State is interchangeable between plans of one network with one set of weights, one backend,
// instruction set and layout; the number of lanes does not matter.
uint64_t fingerprint_of(const Plan& plan);

}  // namespace pvnet
