// SPDX-License-Identifier: Apache-2.0
// What follows from a node and its inputs: shape and multiply-adds, delays, clock.
#pragma once

#include <vector>

#include "graph/graph.hpp"

namespace pvnet {

// Sets shape and macs of nodes[n] from its attributes and the shapes of its inputs.
Status infer_shape(std::vector<Node>& nodes, int n);

// Sets the delays of the edges into nodes[n] for `wiring`, then its clock. Stages must be set and
// the clocks of its non-feedback inputs known. where: the caller, for messages.
Status infer_timing(std::vector<Node>& nodes, int n, Wiring wiring, const char* where);

// True for nodes that compute nothing: input, concat, delay, feedback.
bool is_free(Op op);

}  // namespace pvnet
