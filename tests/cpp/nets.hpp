// SPDX-License-Identifier: Apache-2.0
// Small networks with random weights for the C++ tests.
#pragma once

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"

#include "graph/graph.hpp"
#include "model/model_file.hpp"
#include "plan/plan.hpp"

namespace nets {

template <class T>
T must(pvnet::Result<T> r) {
  if (!r.ok()) {
    std::fprintf(stderr, "unexpected error: %s\n", r.status().message().c_str());
    std::abort();
  }
  return std::move(r).value();
}

inline pvnet::Graph make(const std::vector<std::string>& nodes, const std::string& output) {
  pvnet::Graph g;
  for (const std::string& n : nodes) must(g.add(n));
  const pvnet::Status s = g.set_output("y", output);
  if (!s.ok()) std::abort();
  return g;
}

// Two branches of different clocks, temporal kernels, a concat, a feedback from the end.
inline pvnet::Graph mixed() {
  return make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":12,"width":10}})",
          R"({"op":"feedback","name":"fb","inputs":["head"],"attrs":{"channels":5,"height":6,"width":5}})",
          R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":8,"kernel":[2,3,3],"stride":[1,2,2],"padding":[1,1],"act":"relu"}})",
          R"({"op":"concat","name":"ab","inputs":["a","fb"]})",
          R"({"op":"conv3d","name":"b","inputs":["ab"],"attrs":{"out":12,"kernel":[3,3,3],"stride":[2,1,1],"padding":[1,1],"norm":true,"act":"relu"}})",
          R"({"op":"max_pool","name":"p","inputs":["a"],"attrs":{"kernel":[2,3,3],"padding":[1,1]}})",
          R"({"op":"conv3d","name":"c","inputs":["p"],"attrs":{"out":4,"kernel":[1,1,1]}})",
          R"({"op":"concat","name":"bc","inputs":["b","c","a"]})",
          R"({"op":"conv3d","name":"d","inputs":["bc"],"attrs":{"out":16,"kernel":[2,3,3],"padding":[1,1],"act":"silu"}})",
          R"({"op":"conv3d","name":"head","inputs":["d"],"attrs":{"out":5}})",
      },
      "head");
}

// Measured costs so high that the scheduler shares even these small levels between lanes.
inline std::map<std::string, double> heavy(const pvnet::Graph& graph) {
  std::map<std::string, double> costs;
  for (const auto& n : graph.nodes()) {
    if (n.cost > 0) costs[n.name] = 1000.0 + 1e-4 * n.cost;
  }
  return costs;
}

// For dtype int8: of most nodes, both kinds of maps.
inline std::map<std::string, pvnet::ValueRange> some_ranges(const pvnet::Graph& graph) {
  std::map<std::string, pvnet::ValueRange> ranges;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const float low = i % 3 == 0 ? 0.0f : -1.0f - static_cast<float>(i % 4);
    if (i % 6 != 4) ranges[graph.nodes()[i].name] = {low, 2.0f + static_cast<float>(i % 5)};
  }
  return ranges;
}

inline pvnet::Weights random_weights(const pvnet::Graph& graph, uint32_t seed = 1) {
  std::mt19937 rng(seed);
  pvnet::Weights out;
  for (const auto& [name, shape] : pvnet::expected_weights(graph)) {
    pvnet::Tensor t;
    t.shape = shape;
    size_t n = 1;
    for (const int64_t s : shape) n *= static_cast<size_t>(s);
    const bool variance = name.ends_with("running_var");
    std::uniform_real_distribution<float> u(variance ? 0.5f : -0.3f, variance ? 1.5f : 0.3f);
    for (size_t i = 0; i < n; ++i) t.data.push_back(u(rng));
    out.emplace(name, std::move(t));
  }
  return out;
}

}  // namespace nets
