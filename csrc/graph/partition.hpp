// SPDX-License-Identifier: Apache-2.0
// Cuts of a graph into stages: assignments of a stage to every node that never decrease along a
// non-feedback edge.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/graph.hpp"

namespace pvnet {

// First items of the K parts of `costs` (begins[0] = 0), contiguous and none empty, whose largest
// sum is the smallest possible. Needs 1 <= k <= costs.size() and costs >= 0 and finite.
std::vector<size_t> balanced_cuts(const std::vector<double>& costs, size_t k);

// Stage of every node for K balanced stages. cost: amortised per tick, by node.
Result<std::vector<int>> partition(const std::vector<Node>& nodes, int k,
                                   const std::vector<double>& cost);

// The finest cut: every operation with weights is a stage, in an order in which they can run. What
// has none goes with the last stage that it reads; nodes that compute nothing (concat, delay,
// feedback) go with their first reader, where they cost no tick.
std::vector<int> layer_stages(const Graph& graph);

// Stage of every node from lists of names; an entry that ends with '*' is a prefix. Every node but
// the inputs (always stage 0) must be named exactly once.
Result<std::vector<int>> stages_from_lists(const std::vector<Node>& nodes,
                                           const std::vector<std::vector<std::string>>& lists);

}  // namespace pvnet
