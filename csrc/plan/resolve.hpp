// SPDX-License-Identifier: Apache-2.0
// Reads through virtual nodes: from an edge of the graph to segments of values, and from a tick to
// the firing of a value.
#pragma once

#include <vector>

#include <pvnet/plan.hpp>

namespace pvnet {

// The segments an edge reads; value_of[node] is the value of a node with memory.
std::vector<Segment> segments_of(const Graph& graph, const Edge& edge,
                                 const std::vector<int>& value_of);

// As resolve_firing, without the rule that nothing exists before firing 0: for ticks far from the
// start, where all that matters is the distance to the newest firing.
int64_t resolve_firing_settled(const Segment& segment, int64_t tick, int64_t taps_back);

}  // namespace pvnet
