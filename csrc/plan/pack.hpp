// SPDX-License-Identifier: Apache-2.0
// Third step of compile(): batch norm folded into the weights, weights packed as the backend likes.
#pragma once

#include "plan/plan.hpp"

namespace pvnet {

Status pack_weights(Plan& plan, const WeightSource& weights);

// Floats of an op among the packed weights of a host; 0: it has none.
size_t host_packed_floats(const Plan& plan, const PlanOp& op);

}  // namespace pvnet
