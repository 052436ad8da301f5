// SPDX-License-Identifier: Apache-2.0
#include "graph/builder.hpp"

#include <algorithm>
#include <utility>

#include "graph/attrs.hpp"
#include "graph/cost_model.hpp"
#include "graph/errors.hpp"
#include "graph/infer.hpp"

namespace pvnet {

namespace {

using json::Value;
using Kind = Value::Kind;

constexpr const char* kAdd = "Graph.add";

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool name_char(char c) { return letter(c) || (c >= '0' && c <= '9') || c == '/' || c == '-'; }

Status bad_spec(std::string_view what, std::string_view got, std::string_view expected) {
  return failed(Code::invalid_argument, kAdd, what, got, expected,
                "Write nodes as {\"op\", \"name\", \"inputs\", \"attrs\"}.");
}

struct Spec {
  Op op = Op::input;
  std::string name;
  std::vector<std::string> inputs;
  int stage = 0;
  const Value* attrs = nullptr;
};

Status read_inputs(const Value& v, Spec& spec) {
  if (!v.is(Kind::array)) return bad_spec("inputs are no list", v.dump().substr(0, 80), "a list");
  if (v.items().size() > static_cast<size_t>(kMaxInputs)) {
    return failed(Code::invalid_argument, kAdd, "a node has too many inputs",
                  std::to_string(v.items().size()), "at most " + std::to_string(kMaxInputs),
                  "Join values in several steps.");
  }
  for (const Value& item : v.items()) {
    if (!item.is(Kind::string)) {
      return bad_spec("an input is no name", item.dump().substr(0, 80), "a string");
    }
    spec.inputs.push_back(item.as_string());
  }
  return {};
}

Status read_spec(const Value& v, Spec& spec) {
  if (!v.is(Kind::object)) return bad_spec("a node is no object", v.dump().substr(0, 80), "{...}");
  const Value* op = v.find("op");
  if (op == nullptr || !op->is(Kind::string)) {
    return bad_spec("a node has no op", op == nullptr ? "none" : op->dump().substr(0, 80),
                    "the name of an operation");
  }
  const Result<Op> known = op_from_string(op->as_string());
  if (!known.ok()) return known.status();
  spec.op = known.value();
  for (const auto& [key, value] : v.members()) {
    if (key == "name") {
      if (!value.is(Kind::string)) {
        return bad_spec("a name is no text", value.dump().substr(0, 80), "a string");
      }
      spec.name = value.as_string();
    } else if (key == "inputs") {
      PVNET_TRY(read_inputs(value, spec));
    } else if (key == "stage") {
      if (!value.is_integer() || value.as_number() < 0 || value.as_number() >= kMaxNodes) {
        return bad_spec("a stage is wrong", value.dump().substr(0, 80),
                        "an integer from 0 to " + std::to_string(kMaxNodes - 1));
      }
      spec.stage = static_cast<int>(value.as_integer());
    } else if (key == "attrs") {
      spec.attrs = &value;
    } else if (key != "op") {
      return bad_spec("a node has an unknown key", quoted(key), "op, name, inputs, stage or attrs");
    }
  }
  return {};
}

Status unknown_input(const Node& n, std::string_view input) {
  return failed(Code::graph, std::string("Graph.") + to_string(n.op),
                "node " + quoted(n.name) + " reads an unknown node", quoted(input),
                "a node that was added before",
                "Add it first, correct the spelling, or use feedback to read a later node.");
}

}  // namespace

Status check_name(std::string_view name, const char* where, std::string_view what) {
  bool ok = !name.empty() && name.size() <= 128 && letter(name[0]);
  for (const char c : name) ok = ok && name_char(c);
  if (ok) return {};
  return failed(Code::invalid_argument, where, std::string(what) + " has an unusable name",
                quoted(name), "a letter or _, then at most 127 letters, digits, _, / or -",
                "Choose another name.");
}

Result<int> GraphBuilder::add(Graph& g, const Value& v) {
  Spec spec;
  PVNET_TRY(read_spec(v, spec));
  if (g.nodes_.size() >= static_cast<size_t>(kMaxNodes)) {
    return failed(Code::graph, kAdd, "the graph is full", std::to_string(g.nodes_.size() + 1),
                  "at most " + std::to_string(kMaxNodes) + " nodes", "Use fewer nodes.");
  }
  Node n;
  n.op = spec.op;
  n.stage = spec.stage;
  n.name = std::move(spec.name);
  const std::string where = std::string("Graph.") + to_string(n.op);
  if (n.name.empty()) {
    // Names are never given back, so the ones found taken before are taken still.
    size_t& taken = g.names_made_[static_cast<size_t>(n.op)];
    const auto numbered = [&] {
      return std::string(to_string(n.op)) + "_" + std::to_string(taken + 1);
    };
    for (n.name = numbered(); g.index_.contains(n.name) || g.pending_.contains(n.name);) {
      ++taken;
      n.name = numbered();
    }
  }
  PVNET_TRY(check_name(n.name, where.c_str(), "a node"));
  if (g.index_.contains(n.name)) {
    return failed(Code::graph, where, "a node of this name exists already", quoted(n.name),
                  "a new name", "Choose another name.");
  }
  PVNET_TRY(read_attrs(n.op, spec.attrs, where, n.name, n.attrs));

  const int index = static_cast<int>(g.nodes_.size());
  std::string later;  // what a feedback node will read
  for (const std::string& input : spec.inputs) {
    Edge e;
    e.src = g.find(input);
    e.feedback = n.op == Op::feedback;
    if (e.src < 0 && !e.feedback) return unknown_input(n, input);
    if (e.src < 0) {
      PVNET_TRY(check_name(input, where.c_str(), "the target of feedback"));
      if (input == n.name) {
        return failed(Code::graph, where, "a feedback node reads itself", quoted(input),
                      "another node", "Name the node whose value comes back.");
      }
      later = input;
    }
    n.inputs.push_back(e);
  }
  g.nodes_.push_back(std::move(n));
  Status s = infer_shape(g.nodes_, index);
  if (s.ok()) {
    Node& added = g.nodes_.back();
    const int stage = std::exchange(added.stage, 0);  // delays of stages come with retime()
    for (const Edge& e : added.inputs) {
      if (!e.feedback)
        added.stage = std::max(added.stage, g.nodes_[static_cast<size_t>(e.src)].stage);
    }
    s = infer_timing(g.nodes_, index, Wiring::sequential, where.c_str());
    added.stage = stage;
  }
  if (!s.ok()) {
    g.nodes_.pop_back();
    return s;
  }
  Node& added = g.nodes_.back();
  added.cost = estimated_cost(g.nodes_, index);
  g.index_.emplace(added.name, index);
  if (!later.empty()) {
    g.pending_[later].push_back(index);
    g.awaited_[index] = later;
  }
  if (const auto waiting = g.pending_.find(added.name); waiting != g.pending_.end()) {
    for (const int fb : waiting->second) {
      g.nodes_[static_cast<size_t>(fb)].inputs[0].src = index;
      g.awaited_.erase(fb);
    }
    g.pending_.erase(waiting);
  }
  return index;
}

Status GraphBuilder::retime(Graph& g, Wiring wiring, const std::vector<int>& stages, int n_stages,
                            const char* where) {
  g.wiring_ = wiring;
  g.n_stages_ = n_stages;
  for (size_t n = 0; n < g.nodes_.size(); ++n) g.nodes_[n].stage = stages[n];
  for (size_t n = 0; n < g.nodes_.size(); ++n) {
    PVNET_TRY(infer_timing(g.nodes_, static_cast<int>(n), wiring, where));
  }
  return {};
}

std::vector<std::string> GraphBuilder::input_names(const Graph& g, int node) {
  std::vector<std::string> names;
  for (const Edge& e : g.nodes_[static_cast<size_t>(node)].inputs) {
    names.push_back(e.src < 0 ? g.awaited_.at(node) : g.nodes_[static_cast<size_t>(e.src)].name);
  }
  return names;
}

}  // namespace pvnet
