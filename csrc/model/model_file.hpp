// SPDX-License-Identifier: Apache-2.0
// Model files: one safetensors file holds the graph (metadata key "pvnet_graph", JSON) and the
// weights (f32 tensors named <node>.weight, <node>.bias, <node>.norm.*). No pickle, nothing runs on
// load; a damaged or hostile file gives a Status of Code::file. docs/model_format.md has the
// format.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"
#include "graph/status.hpp"

namespace pvnet {

struct Tensor {  // dense f32, row-major
  std::vector<int64_t> shape;
  std::vector<float> data;
};
using Weights = std::map<std::string, Tensor, std::less<>>;
using Metadata = std::map<std::string, std::string, std::less<>>;

struct Model {
  Graph graph;
  Weights weights;
  Metadata metadata;  // free text of the user, without "pvnet_graph" and "pvnet_version"
};

// The tensors that a node may have, <node> in front.
inline constexpr std::array<const char*, 6> kWeightSuffixes = {
    ".weight", ".bias", ".norm.weight", ".norm.bias", ".norm.running_mean", ".norm.running_var"};

Result<Model> load_model(const std::string& path);
Result<Model> load_model(const void* bytes, size_t size_bytes);
// Written as a whole: a crash leaves the old file. What a symbolic link points at is replaced.
Status save_model(const std::string& path, const Model& model);

// The weights a graph needs, with their shapes, in node order: what save_model writes, what compile
// asks for. norm tensors: weight, bias, running_mean, running_var.
std::vector<std::pair<std::string, std::vector<int64_t>>> expected_weights(const Graph& graph);
// Missing, misshapen, superfluous or non-finite weights.
Status check_weights(const Graph& graph, const Weights& weights);

}  // namespace pvnet
