// SPDX-License-Identifier: Apache-2.0
// Which operations of a tick must have ended before which others begin.
#pragma once

#include <vector>

#include "plan/plan.hpp"

namespace pvnet::device {

// Operations that are due at a tick of the phase, levels ascending; phase -1: all.
std::vector<int> due_ops(const Plan& plan, int phase);

// [op of the plan]: those that must come before it, ascending; each of a lower level. Only of ops
// that are due. A ring is so deep that no write meets a read of another firing; so there are reads
// of what is written in the tick, and scratch memory that is written again.
std::vector<std::vector<int>> hazards(const Plan& plan, int phase);

// Leaves out what follows from the rest. after[i] holds numbers below i.
void reduce(std::vector<std::vector<int>>& after);

}  // namespace pvnet::device
