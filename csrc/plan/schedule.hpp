// SPDX-License-Identifier: Apache-2.0
// Fourth step of compile(): for every tick of the hyper-period, which lane runs which tiles.
#pragma once

#include "plan/plan.hpp"

namespace pvnet {

// Groups (stages, unless the wiring is sequential) are independent chains of levels inside a tick.
// Chains are packed onto lanes, longest first; while the heaviest chain makes the tick uneven, its
// next level is taken off the front and run by all lanes together, split by tiles, with a barrier
// after it. The split that gives the shortest tick by estimated cost is kept.
Status make_schedule(Plan& plan);

// At most `most` lanes, each of which takes more off the busiest tick (its share of the work, if
// that could be cut at will) than one more meeting of the lanes costs.
int useful_lanes(const Plan& plan, int most);

// Lanes up to the last one that the schedule gives any work.
int lanes_with_work(const Plan& plan);

}  // namespace pvnet
