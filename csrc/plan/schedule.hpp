// SPDX-License-Identifier: Apache-2.0
// Fourth step of compile(): for every tick of the hyper-period, which lane runs which tiles.
#pragma once

#include <pvnet/plan.hpp>

namespace pvnet {

// Groups (stages, unless the wiring is sequential) are independent chains of levels inside a tick.
// Chains are packed onto lanes, longest first; while the heaviest chain makes the tick uneven, its
// next level is taken off the front and run by all lanes together, split by tiles, with a barrier
// after it. The split that gives the shortest tick by estimated cost is kept.
Status make_schedule(Plan& plan);

// Ops due in tick `phase` of the hyper-period once everything has begun.
bool due_in_phase(const Clock& clock, int64_t phase);

// What a barrier costs, in the unit of PlanOp::cost.
double barrier_cost(const Plan& plan);

}  // namespace pvnet
