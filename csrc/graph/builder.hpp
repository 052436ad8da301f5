// SPDX-License-Identifier: Apache-2.0
// The only code that changes a Graph.
#pragma once

#include <string_view>
#include <vector>

#include "graph/graph.hpp"

#include "graph/json.hpp"

namespace pvnet {

struct GraphBuilder {
  // Adds one node; `stage` of the spec is read, but timing is that of the sequential wiring until
  // retime(). On error the graph is unchanged.
  static Result<int> add(Graph& g, const json::Value& spec);
  // Sets the stages, then the delays and clocks of `wiring`. On error the graph is half changed.
  static Status retime(Graph& g, Wiring wiring, const std::vector<int>& stages, int n_stages,
                       const char* where);
  static void set_cost(Graph& g, size_t node, double cost) { g.nodes_[node].cost = cost; }
  // Names of what the input edges of a node read, also where that node is not there yet.
  static std::vector<std::string> input_names(const Graph& g, int node);
};

// [A-Za-z_][A-Za-z0-9_/-]{0,127}: no dots, which separate a node from its weights in model files.
Status check_name(std::string_view name, const char* where, std::string_view what);

}  // namespace pvnet
