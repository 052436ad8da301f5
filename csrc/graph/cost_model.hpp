// SPDX-License-Identifier: Apache-2.0
// Estimated time of one firing of a node, for balancing stages before anything was measured. The
// unit is the time of one multiply-add in a good convolution kernel; only ratios matter.
#pragma once

#include <vector>

#include "graph/graph.hpp"

namespace pvnet {

// 0 for input, concat, delay and feedback: they compute nothing.
double estimated_cost(const std::vector<Node>& nodes, int n);

// Whether an activation takes exponentials.
bool has_exp(Act act);

}  // namespace pvnet
