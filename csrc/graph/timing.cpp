// SPDX-License-Identifier: Apache-2.0
// Delays of a wiring, and the clocks that follow from them.
#include <algorithm>

#include "graph/attrs.hpp"
#include "graph/errors.hpp"
#include "graph/infer.hpp"

namespace pvnet {

namespace {

using Nodes = std::vector<Node>;

const Node& source(const Nodes& nodes, const Edge& e) { return nodes[static_cast<size_t>(e.src)]; }

std::string staged(const Node& n) {
  return quoted(n.name) + " (stage " + std::to_string(n.stage) + ")";
}

// One cycle through feedback node `fb`: a path from it to its target, by breadth first search.
std::string cycle_text(const Nodes& nodes, int fb, int target) {
  std::vector<int> from(nodes.size(), -1);
  from[static_cast<size_t>(fb)] = fb;
  for (size_t n = static_cast<size_t>(fb) + 1; n < nodes.size(); ++n) {
    for (const Edge& e : nodes[n].inputs) {
      if (!e.feedback && e.src >= 0 && from[static_cast<size_t>(e.src)] >= 0) {
        from[n] = e.src;
        break;
      }
    }
  }
  if (target < fb || from[static_cast<size_t>(target)] < 0)
    return quoted(nodes[static_cast<size_t>(fb)].name);
  std::vector<int> path;
  for (int n = target; n != fb; n = from[static_cast<size_t>(n)]) path.push_back(n);
  std::reverse(path.begin(), path.end());
  std::string text = quoted(nodes[static_cast<size_t>(fb)].name);
  for (size_t i = 0; i < path.size(); ++i) {
    if (path.size() > 12 && i == 5) {
      text += " -> ...";
      i = path.size() - 5;
    }
    text += " -> " + quoted(nodes[static_cast<size_t>(path[i])].name);
  }
  return text + " -> " + quoted(nodes[static_cast<size_t>(fb)].name);
}

Status set_delays(Nodes& nodes, int index, Wiring wiring, const char* where) {
  Node& n = nodes[static_cast<size_t>(index)];
  const int64_t own = n.op == Op::delay || n.op == Op::feedback ? n.attrs.ticks : 0;
  for (Edge& e : n.inputs) {
    e.delay = own;
    if (e.src < 0) continue;
    const Node& m = source(nodes, e);
    const int jump = n.stage - m.stage;
    if (e.feedback) {
      if (wiring == Wiring::pipelined) e.delay += jump;
      if (e.delay >= 1) continue;
      return failed(Code::graph, where, "a cycle has no delay left in the pipelined wiring",
                    "delay " + std::to_string(e.delay) + " on the feedback from " + staged(m) +
                        " to " + staged(n) + " of the cycle " + cycle_text(nodes, index, e.src),
                    "a delay of at least 1",
                    "Give " + quoted(n.name) + " ticks=" + std::to_string(1 - jump) +
                        " or more, put the cycle into fewer stages, or use the predictive wiring.");
    }
    if (jump < 0) {
      return failed(Code::graph, where, "an edge goes back to an earlier stage",
                    staged(m) + " -> " + staged(n), "stages that never decrease along an edge",
                    "Move " + quoted(n.name) + " to stage " + std::to_string(m.stage) +
                        " or later, or use feedback.");
    }
    if (wiring == Wiring::pipelined) e.delay += jump;
    if (wiring == Wiring::predictive && jump != 0) e.delay += 1;
  }
  return {};
}

Status set_clock(Nodes& nodes, int index, Wiring wiring, const char* where) {
  Node& n = nodes[static_cast<size_t>(index)];
  if (n.op == Op::input || n.op == Op::feedback) {
    n.clock = {1, wiring == Wiring::pipelined ? n.stage : 0};
    n.feedback_only = n.op == Op::feedback;
    return {};
  }
  const Edge* fastest = nullptr;
  std::vector<std::pair<int64_t, int>> periods;  // of the inputs that count
  n.feedback_only = std::all_of(n.inputs.begin(), n.inputs.end(),
                                [&](const Edge& e) { return source(nodes, e).feedback_only; });
  for (const Edge& e : n.inputs) {
    if (!n.feedback_only && source(nodes, e).feedback_only) continue;
    const int64_t period = source(nodes, e).clock.period;
    if (fastest == nullptr || period < source(nodes, *fastest).clock.period) fastest = &e;
    periods.emplace_back(period, e.src);
  }
  std::sort(periods.begin(), periods.end());
  for (size_t i = 1; i < periods.size(); ++i) {
    if (periods[i].first % periods[i - 1].first == 0) continue;
    const auto text = [&](size_t k) {
      return quoted(nodes[static_cast<size_t>(periods[k].second)].name) + " every " +
             std::to_string(periods[k].first) + " ticks";
    };
    return failed(Code::graph, where,
                  "the inputs of node " + quoted(n.name) + " run at periods that do not fit",
                  text(i - 1) + " and " + text(i), "periods of which one divides the other",
                  "Change a temporal stride so that the larger period is a multiple.");
  }
  const Clock& m = source(nodes, *fastest).clock;
  const int64_t period = m.period * n.attrs.stride[0];
  if (period > kMaxHyperPeriod) {
    return failed(Code::graph, where, "node " + quoted(n.name) + " runs too rarely",
                  "a period of " + std::to_string(period) + " ticks",
                  "at most " + std::to_string(kMaxHyperPeriod), "Use smaller temporal strides.");
  }
  if (n.attrs.phase >= period) {
    return failed(Code::graph, where, "node " + quoted(n.name) + " has a phase beyond its period",
                  "phase=" + std::to_string(n.attrs.phase),
                  "less than its period of " + std::to_string(period) + " ticks",
                  "Give a smaller phase.");
  }
  n.clock = {period, m.origin + fastest->delay + n.attrs.phase};
  return {};
}

}  // namespace

bool is_free(Op op) {
  return op == Op::input || op == Op::concat || op == Op::delay || op == Op::feedback;
}

Status infer_timing(std::vector<Node>& nodes, int n, Wiring wiring, const char* where) {
  PVNET_TRY(set_delays(nodes, n, wiring, where));
  return set_clock(nodes, n, wiring, where);
}

}  // namespace pvnet
