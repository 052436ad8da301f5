// SPDX-License-Identifier: Apache-2.0
// Weights in the order in which a device's kernels use them (kernels/program.h).
#pragma once

#include "plan/device/program.hpp"

namespace pvnet::device {

// Fills plan.packed, program.floats of convolutions, and the offsets of packed weights.
Status pack(Plan& plan, const WeightSource& weights, Program& program);

}  // namespace pvnet::device
