// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.hpp"

#include <algorithm>
#include <numeric>

#include "graph/attrs.hpp"
#include "graph/builder.hpp"
#include "graph/errors.hpp"
#include "graph/infer.hpp"

namespace pvnet {

namespace {

// Concat, delay and feedback nodes hold no memory: what reads them reads what they read. In a
// circle of them there is nothing to read.
Status check_values(const std::vector<Node>& nodes, const char* where) {
  enum : uint8_t { unseen, on_the_way, done };
  std::vector<uint8_t> state(nodes.size(), unseen);
  const auto goes_on = [&](int n) {
    const Op op = nodes[static_cast<size_t>(n)].op;
    return is_free(op) && op != Op::input;
  };
  std::vector<std::pair<int, size_t>> way;  // node, its next input
  for (size_t start = 0; start < nodes.size(); ++start) {
    if (nodes[start].op != Op::feedback || state[start] != unseen) continue;
    way.emplace_back(static_cast<int>(start), 0);
    state[start] = on_the_way;
    while (!way.empty()) {
      auto& [n, next] = way.back();
      const std::vector<Edge>& inputs = nodes[static_cast<size_t>(n)].inputs;
      if (next == inputs.size()) {
        state[static_cast<size_t>(n)] = done;
        way.pop_back();
        continue;
      }
      const int m = inputs[next++].src;
      uint8_t& seen = state[static_cast<size_t>(m)];
      if (!goes_on(m) || seen == done) continue;
      if (seen == on_the_way) {
        return failed(Code::graph, where, "nodes that hold no value read each other in a circle",
                      quoted(nodes[static_cast<size_t>(m)].name) + " reached from itself",
                      "an operation that computes something in every circle",
                      "Let the feedback read an operation, e.g. a conv3d or an act.");
      }
      seen = on_the_way;
      way.emplace_back(m, 0);
    }
  }
  return {};
}

}  // namespace

Result<int> Graph::add(std::string_view node_json) {
  if (n_stages_ > 1) {
    return failed(Code::state, "Graph.add", "the graph is wired already",
                  std::to_string(n_stages_) + " stages", "a graph that was not yet wired",
                  "Add every node first, then call wire().");
  }
  Result<json::Value> spec = json::parse(node_json, "Graph.add");
  if (!spec.ok()) return spec.status();
  if (const json::Value* stage = spec.value().find("stage");
      stage != nullptr && !(stage->is_integer() && stage->as_integer() == 0)) {
    return failed(Code::invalid_argument, "Graph.add", "a new node has a stage",
                  stage->dump().substr(0, 80), "no stage, or 0", "Choose stages with wire().");
  }
  return GraphBuilder::add(*this, spec.value());
}

Status Graph::set_output(std::string_view name, std::string_view node) {
  PVNET_TRY(check_name(name, "Graph.output", "an output"));
  const int index = find(node);
  if (index < 0) {
    return failed(Code::graph, "Graph.output", "output " + quoted(name) + " names an unknown node",
                  quoted(node), "a node that was added before", "Correct the spelling.");
  }
  if (!output_names_.emplace(name).second) {
    return failed(Code::graph, "Graph.output", "an output of this name exists already",
                  quoted(name), "a new name", "Choose another name.");
  }
  outputs_.push_back({std::string(name), index});
  return {};
}

Status Graph::check() const {
  constexpr const char* kWhere = "Graph.check";
  const auto node = [&](int i) -> const Node& { return nodes_[static_cast<size_t>(i)]; };
  if (!pending_.empty()) {
    const auto& [target, waiting] = *pending_.begin();
    return failed(
        Code::graph, kWhere,
        "feedback node " + quoted(node(waiting[0]).name) + " reads a node that was not added",
        quoted(target), "the name of a node of the graph",
        "Add that node or correct the spelling.");
  }
  if (std::none_of(nodes_.begin(), nodes_.end(), [](const Node& n) { return n.op == Op::input; })) {
    return failed(Code::graph, kWhere, "the graph has no input", "0 inputs", "at least 1",
                  "Add one with input().");
  }
  if (outputs_.empty()) {
    return failed(Code::graph, kWhere, "the graph has no output", "0 outputs", "at least 1",
                  "Declare one with output().");
  }
  std::vector<bool> fed(nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& n = nodes_[i];
    fed[i] = n.op == Op::input;
    for (const Edge& e : n.inputs) {
      if (!e.feedback) {
        fed[i] = fed[i] || fed[static_cast<size_t>(e.src)];
      } else if (!(node(e.src).shape == n.shape)) {
        return failed(Code::graph, kWhere,
                      "feedback node " + quoted(n.name) + " has another shape than its target",
                      text_of(n.shape) + " for target " + quoted(node(e.src).name) + " of " +
                          text_of(node(e.src).shape),
                      "the same shape", "Give like=" + text_of(node(e.src).shape) + ".");
      }
    }
  }
  PVNET_TRY(check_values(nodes_, kWhere));
  for (const Output& o : outputs_) {
    if (fed[static_cast<size_t>(o.node)]) continue;
    return failed(Code::graph, kWhere, "output " + quoted(o.name) + " depends on no input",
                  "node " + quoted(node(o.node).name) + " fed by feedback only",
                  "a path from an input", "Connect it to an input.");
  }
  if (const int64_t h = hyper_period(); h > kMaxHyperPeriod) {
    return failed(Code::graph, kWhere, "the periods of the nodes do not repeat soon enough",
                  "a hyper-period above " + std::to_string(kMaxHyperPeriod) + " ticks",
                  "at most " + std::to_string(kMaxHyperPeriod),
                  "Choose temporal strides that are powers of one number.");
  }
  return {};
}

int64_t Graph::hyper_period() const {
  int64_t h = 1;
  for (const Node& n : nodes_) {
    h = std::lcm(h, n.clock.period);
    if (h > (int64_t{1} << 40)) return h;  // refused by check(); stop before it overflows
  }
  return h;
}

int Graph::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? -1 : it->second;
}

// Nodes read only nodes that were added before them, feedback always has a delay: the order of
// insertion is a topological order.
std::vector<int> Graph::topological_order() const {
  std::vector<int> order(nodes_.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace pvnet
