// SPDX-License-Identifier: Apache-2.0
// One node of Graph::resolved_json(), which is also to be had before the graph is complete.
#pragma once

#include <string>

#include "graph/graph.hpp"

namespace pvnet {

std::string resolved_node(const Graph& graph, int node);

}  // namespace pvnet
