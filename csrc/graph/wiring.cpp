// SPDX-License-Identifier: Apache-2.0
// Graph::wire: the same nodes with other stages and delays.
#include <algorithm>
#include <cmath>

#include "graph/builder.hpp"
#include "graph/cost_model.hpp"
#include "graph/errors.hpp"
#include "graph/infer.hpp"
#include "graph/partition.hpp"

namespace pvnet {

namespace {

constexpr const char* kWhere = "Graph.wire";

using Costs = std::vector<std::pair<std::string, double>>;

// Measured costs by node, or those of the cost model when none are given.
Result<std::vector<double>> firing_costs(const Graph& g, const Costs& measured) {
  const std::vector<Node>& nodes = g.nodes();
  std::vector<double> cost(nodes.size());
  for (size_t n = 0; n < nodes.size(); ++n) {
    cost[n] = measured.empty() ? estimated_cost(nodes, static_cast<int>(n)) : -1;
  }
  for (const auto& [name, value] : measured) {
    const int n = g.find(name);
    if (n < 0) {
      return failed(Code::invalid_argument, kWhere, "costs name an unknown node", quoted(name),
                    "names of nodes", "Correct the spelling or remove it.");
    }
    if (!(value >= 0) || value > 1e15) {
      return failed(Code::invalid_argument, kWhere, "node " + quoted(name) + " has a wrong cost",
                    std::to_string(value), "microseconds from 0 to 1e15", "Measure it again.");
    }
    cost[static_cast<size_t>(n)] = value;
  }
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (is_free(nodes[n].op)) cost[n] = 0;
    if (cost[n] >= 0) continue;
    return failed(Code::invalid_argument, kWhere, "costs leave out a node", quoted(nodes[n].name),
                  "a cost for every node that computes something",
                  "Measure it too, or give no costs at all.");
  }
  return cost;
}

}  // namespace

Result<Graph> Graph::wire(Wiring wiring,
                          const std::vector<std::vector<std::string>>& stages) const {
  PVNET_TRY(check());
  Result<std::vector<int>> stage = stages_from_lists(nodes_, stages);
  if (!stage.ok()) return stage.status();
  Graph g = *this;
  PVNET_TRY(
      GraphBuilder::retime(g, wiring, stage.value(), static_cast<int>(stages.size()), kWhere));
  return g;
}

Result<Graph> Graph::wire(Wiring wiring, int stages, const Costs& costs) const {
  PVNET_TRY(check());
  Result<std::vector<double>> cost = firing_costs(*this, costs);
  if (!cost.ok()) return cost.status();
  std::vector<double> per_tick = cost.value();
  for (size_t n = 0; n < per_tick.size(); ++n) {
    per_tick[n] /= static_cast<double>(nodes_[n].clock.period);
  }
  Result<std::vector<int>> stage = partition(nodes_, stages, per_tick);
  if (!stage.ok()) return stage.status();
  Graph g = *this;
  for (size_t n = 0; n < nodes_.size(); ++n) GraphBuilder::set_cost(g, n, cost.value()[n]);
  PVNET_TRY(GraphBuilder::retime(g, wiring, stage.value(), stages, kWhere));
  return g;
}

Result<Graph> Graph::wire_layers(Wiring wiring) const {
  PVNET_TRY(check());
  const std::vector<int> stage = layer_stages(*this);
  Graph g = *this;
  const int count = *std::max_element(stage.begin(), stage.end()) + 1;
  PVNET_TRY(GraphBuilder::retime(g, wiring, stage, count, kWhere));
  return g;
}

}  // namespace pvnet
