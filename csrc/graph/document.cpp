// SPDX-License-Identifier: Apache-2.0
// Graphs as JSON documents (docs/model_format.md).
#include <algorithm>
#include <map>

#include "graph/analysis.hpp"
#include "graph/attrs.hpp"
#include "graph/builder.hpp"
#include "graph/document.hpp"
#include "graph/errors.hpp"

namespace pvnet {

namespace {

using json::Value;
using Kind = Value::Kind;

constexpr const char* kWhere = "Graph.from_json";

Status damaged(std::string_view what, const Value* got, std::string_view expected) {
  return failed(Code::file, kWhere, what, got == nullptr ? "nothing" : got->dump().substr(0, 80),
                expected, "Write the document with Graph.to_json().");
}

Value names(const std::vector<std::string>& list) {
  Value v = Value::array();
  for (const std::string& name : list) v.push(Value::string(name));
  return v;
}

Value shape_json(const Shape& s) {
  Value v = Value::array();
  for (const int x : {s.c, s.h, s.w}) v.push(Value::integer(x));
  return v;
}

Value node_json(const Node& n, const std::vector<std::string>& inputs) {
  Value v = Value::object();
  v.set("name", Value::string(n.name));
  v.set("op", Value::string(to_string(n.op)));
  v.set("attrs", write_attrs(n.op, n.attrs, true));
  Value edges = Value::array();
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    Value e = Value::object();
    e.set("node", Value::string(inputs[i]));
    e.set("delay", Value::integer(n.inputs[i].delay));
    e.set("feedback", Value::boolean(n.inputs[i].feedback));
    edges.push(std::move(e));
  }
  v.set("inputs", std::move(edges));
  v.set("stage", Value::integer(n.stage));
  Value clock = Value::object();
  clock.set("period", Value::integer(n.clock.period));
  clock.set("origin", Value::integer(n.clock.origin));
  v.set("clock", std::move(clock));
  v.set("shape", shape_json(n.shape));
  v.set("macs", Value::integer(n.macs));
  v.set("cost", Value::number(n.cost));
  return v;
}

Value outputs_json(const Graph& g, const Analysis& facts) {
  Value v = Value::array();
  for (size_t i = 0; i < g.outputs().size(); ++i) {
    const Node& n = g.nodes()[static_cast<size_t>(g.outputs()[i].node)];
    const OutputAnalysis& f = facts.outputs[i];
    Value o = Value::object();
    o.set("name", Value::string(g.outputs()[i].name));
    o.set("node", Value::string(n.name));
    o.set("delay", Value::integer(g.output_delay(g.outputs()[i])));
    o.set("shape", shape_json(n.shape));
    o.set("information_latency_ticks", Value::integer(f.information_latency_ticks));
    o.set("warm_up_ticks", Value::integer(f.warm_up_ticks));
    o.set("receptive_field_frames",
          f.receptive_field_frames == 0 ? Value() : Value::integer(f.receptive_field_frames));
    v.push(std::move(o));
  }
  return v;
}

Value stages_json(const Graph& g) {
  Value v = Value::array();
  std::vector<Value> members(static_cast<size_t>(g.n_stages()), Value::array());
  std::vector<int64_t> macs(members.size());
  std::vector<double> cost(members.size());
  for (const Node& n : g.nodes()) {
    const auto s = static_cast<size_t>(n.stage);
    members[s].push(Value::string(n.name));
    macs[s] += n.macs;
    cost[s] += n.cost / static_cast<double>(n.clock.period);
  }
  for (size_t s = 0; s < members.size(); ++s) {
    Value stage = Value::object();
    stage.set("index", Value::integer(static_cast<int64_t>(s)));
    stage.set("nodes", std::move(members[s]));
    stage.set("macs", Value::integer(macs[s]));
    stage.set("cost", Value::number(cost[s]));
    v.push(std::move(stage));
  }
  return v;
}

// Nodes that refer forward to each other: names the cycle, or the node that comes too early.
Status check_order(const Value& nodes) {
  std::map<std::string_view, size_t> index;
  for (size_t i = 0; i < nodes.items().size(); ++i) {
    const Value* name = nodes.items()[i].find("name");
    if (name != nullptr && name->is(Kind::string)) index.emplace(name->as_string(), i);
  }
  std::vector<std::vector<size_t>> reads(nodes.items().size());
  bool ordered = true;
  std::string early;
  for (size_t i = 0; i < reads.size(); ++i) {
    const Value* op = nodes.items()[i].find("op");
    const Value* inputs = nodes.items()[i].find("inputs");
    if (inputs == nullptr ||
        (op != nullptr && op->is(Kind::string) && op->as_string() == "feedback")) {
      continue;
    }
    for (const Value& input : inputs->items()) {
      const auto it = index.find(input.as_string());
      if (it == index.end()) continue;  // reported when the node is added
      reads[i].push_back(it->second);
      if (it->second >= i && ordered) {
        ordered = false;
        early = quoted(nodes.items()[i].find("name") == nullptr
                           ? ""
                           : nodes.items()[i].find("name")->as_string()) +
                " before " + quoted(input.as_string());
      }
    }
  }
  if (ordered) return {};
  std::vector<uint8_t> state(reads.size(), 0);  // 0 new, 1 on the path, 2 done
  for (size_t start = 0; start < reads.size(); ++start) {
    std::vector<std::pair<size_t, size_t>> path;  // node, next input
    if (state[start] == 0) path.emplace_back(start, 0);
    while (!path.empty()) {
      auto& [n, next] = path.back();
      state[n] = 1;
      if (next == reads[n].size()) {
        state[n] = 2;
        path.pop_back();
        continue;
      }
      const size_t m = reads[n][next++];
      if (state[m] == 0) path.emplace_back(m, 0);
      if (state[m] != 1) continue;
      const auto name = [&](size_t k) {
        return quoted(nodes.items()[k].find("name")->as_string());
      };
      std::string cycle = name(m);
      for (size_t k = path.size(); k-- > 0;) {
        cycle += " <- " + name(path[k].first);
        if (path[k].first == m) break;
        if (cycle.size() > 1000) {
          cycle += " <- ...";
          break;
        }
      }
      return failed(Code::graph, kWhere, "the nodes form a cycle without delay", cycle,
                    "a delay of at least 1 in every cycle",
                    "Put a feedback node between two of them.");
    }
  }
  return failed(Code::graph, kWhere, "the nodes are not in order", early,
                "every node behind the nodes that it reads", "Sort the nodes.");
}

Status read_outputs(const Value& outputs, Graph& g) {
  for (const Value& o : outputs.items()) {
    const Value* name = o.find("name");
    const Value* node = o.find("node");
    if (name == nullptr || node == nullptr || !name->is(Kind::string) || !node->is(Kind::string)) {
      return damaged("an output is wrong", &o, "{\"name\", \"node\"}");
    }
    PVNET_TRY(g.set_output(name->as_string(), node->as_string()));
  }
  return {};
}

Status read_stages(Graph& g, Wiring wiring) {
  std::vector<int> stages;
  int n_stages = 1;
  for (const Node& n : g.nodes()) {
    stages.push_back(n.stage);
    n_stages = std::max(n_stages, n.stage + 1);
    if (n.op == Op::input && n.stage != 0) {
      return failed(Code::graph, kWhere, "input " + quoted(n.name) + " is in a late stage",
                    "stage " + std::to_string(n.stage), "stage 0", "Correct its stage.");
    }
  }
  std::vector<bool> used(static_cast<size_t>(n_stages), false);
  for (const int s : stages) used[static_cast<size_t>(s)] = true;
  for (size_t s = 0; s < used.size(); ++s) {
    if (used[s]) continue;
    return failed(Code::graph, kWhere, "a stage is empty", "no node in stage " + std::to_string(s),
                  "at least one node in each of " + std::to_string(n_stages) + " stages",
                  "Number the stages without gaps.");
  }
  return GraphBuilder::retime(g, wiring, stages, n_stages, kWhere);
}

bool fits_first_format(const Node& n) {
  const Attrs& a = n.attrs;
  return n.op <= Op::feedback && a.act <= Act::softmax && a.padding_end == a.padding &&
         (n.op != Op::mul || a.act == Act::none);
}

}  // namespace

int Graph::format_version() const {
  return std::all_of(nodes_.begin(), nodes_.end(), fits_first_format) ? 1 : kNewestFormat;
}

std::string Graph::to_json() const {
  Value root = Value::object();
  root.set("format", Value::string("pvnet-graph"));
  root.set("version", Value::integer(format_version()));
  root.set("wiring", Value::string(to_string(wiring_)));
  Value nodes = Value::array();
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Value n = Value::object();
    n.set("name", Value::string(nodes_[i].name));
    n.set("op", Value::string(to_string(nodes_[i].op)));
    n.set("inputs", names(GraphBuilder::input_names(*this, static_cast<int>(i))));
    n.set("stage", Value::integer(nodes_[i].stage));
    n.set("attrs", write_attrs(nodes_[i].op, nodes_[i].attrs, false));
    nodes.push(std::move(n));
  }
  root.set("nodes", std::move(nodes));
  Value outputs = Value::array();
  for (const Output& o : outputs_) {
    Value v = Value::object();
    v.set("name", Value::string(o.name));
    v.set("node", Value::string(nodes_[static_cast<size_t>(o.node)].name));
    outputs.push(std::move(v));
  }
  root.set("outputs", std::move(outputs));
  return root.dump();
}

Result<Graph> Graph::from_json(std::string_view text) {
  Result<Value> parsed = json::parse(text, kWhere);
  if (!parsed.ok()) return parsed.status();
  const Value& root = parsed.value();
  const Value* format = root.find("format");
  if (format == nullptr || format->as_string() != "pvnet-graph") {
    return damaged("the document is no graph", format, "\"format\": \"pvnet-graph\"");
  }
  const Value* version = root.find("version");
  if (version == nullptr || !version->is_integer() || version->as_integer() < 1 ||
      version->as_integer() > kNewestFormat) {
    return failed(Code::file, kWhere, "the version of the graph is not known",
                  version == nullptr ? "nothing" : version->dump().substr(0, 80),
                  "a version from 1 to " + std::to_string(kNewestFormat),
                  "Update pvnet, or save the model again with this version.");
  }
  const Value* nodes = root.find("nodes");
  const Value* outputs = root.find("outputs");
  const Value* wiring = root.find("wiring");
  if (nodes == nullptr || !nodes->is(Kind::array))
    return damaged("nodes are missing", nodes, "a list");
  if (outputs == nullptr || !outputs->is(Kind::array)) {
    return damaged("outputs are missing", outputs, "a list");
  }
  if (wiring == nullptr || !wiring->is(Kind::string)) {
    return damaged("the wiring is missing", wiring, "sequential, pipelined or predictive");
  }
  for (const auto& member : root.members()) {
    const std::string& key = member.first;
    if (key == "format" || key == "version" || key == "nodes" || key == "outputs" ||
        key == "wiring") {
      continue;
    }
    return failed(Code::file, kWhere, "the graph has an unknown key", quoted(key),
                  "format, version, wiring, nodes and outputs", "Remove it or update pvnet.");
  }
  const Result<Wiring> w = wiring_from_string(wiring->as_string());
  if (!w.ok()) return w.status();
  PVNET_TRY(check_order(*nodes));
  Graph g;
  for (const Value& n : nodes->items()) {
    const Result<int> added = GraphBuilder::add(g, n);
    if (!added.ok()) return added.status();
  }
  PVNET_TRY(read_outputs(*outputs, g));
  PVNET_TRY(g.check());
  PVNET_TRY(read_stages(g, w.value()));
  return g;
}

std::string resolved_node(const Graph& g, int node) {
  const Node& n = g.nodes()[static_cast<size_t>(node)];
  return node_json(n, GraphBuilder::input_names(g, node)).dump();
}

Result<std::string> Graph::resolved_json() const {
  PVNET_TRY(check());
  const Result<Analysis> facts = analyse(*this, false);
  if (!facts.ok()) return facts.status();
  Value root = Value::object();
  root.set("wiring", Value::string(to_string(wiring_)));
  root.set("n_stages", Value::integer(n_stages_));
  root.set("hyper_period", Value::integer(hyper_period()));
  Value nodes = Value::array();
  for (size_t i = 0; i < nodes_.size(); ++i) {
    nodes.push(node_json(nodes_[i], GraphBuilder::input_names(*this, static_cast<int>(i))));
  }
  root.set("nodes", std::move(nodes));
  root.set("outputs", outputs_json(*this, facts.value()));
  root.set("stages", stages_json(*this));
  return root.dump();
}

}  // namespace pvnet
