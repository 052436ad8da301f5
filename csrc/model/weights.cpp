// SPDX-License-Identifier: Apache-2.0
// What weights a graph needs, and whether it has them.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "model/model_file.hpp"

#include "model/errors.hpp"
#include "model/weight_source.hpp"

namespace pvnet {

using model::quoted;
using model::shape_text;

std::vector<std::pair<std::string, std::vector<int64_t>>> expected_weights(const Graph& graph) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> all;
  for (const Node& node : graph.nodes()) {
    if (node.inputs.empty() || node.inputs[0].src < 0) continue;
    const Attrs& a = node.attrs;
    const bool norm = node.op == Op::group_norm || node.op == Op::layer_norm;
    if (norm || node.op == Op::scale || node.op == Op::prelu) {
      all.push_back({node.name + ".weight", {node.shape.c}});
      if (node.op != Op::prelu && a.bias) all.push_back({node.name + ".bias", {node.shape.c}});
    }
    if (node.op != Op::conv3d && node.op != Op::linear) continue;
    const Shape in = graph.nodes()[static_cast<size_t>(node.inputs[0].src)].shape;
    if (node.op == Op::conv3d) {
      all.push_back({node.name + ".weight",
                     {a.out, in.c / std::max(a.groups, 1), a.kernel[0], a.kernel[1], a.kernel[2]}});
    } else {
      all.push_back({node.name + ".weight", {a.out, int64_t{in.c} * in.h * in.w}});
    }
    if (a.bias) all.push_back({node.name + ".bias", {a.out}});
    if (node.op != Op::conv3d || !a.norm) continue;
    for (const char* what : {"weight", "bias", "running_mean", "running_var"}) {
      all.push_back({node.name + ".norm." + what, {a.out}});
    }
  }
  return all;
}

static Status wrong(const std::string& what, const std::string& got, const std::string& expected,
                    const std::string& cure) {
  return model::failure(Code::invalid_argument, "check_weights", what, got, expected, cure);
}

static bool has_elements(const Tensor& t, const std::vector<int64_t>& shape) {
  size_t count = 1;
  for (const int64_t s : shape) {
    if (__builtin_mul_overflow(count, static_cast<size_t>(s), &count)) return false;
  }
  return t.data.size() == count;
}

static Status check_values(const std::string& name, const Tensor& t) {
  const auto bad =
      std::find_if(t.data.begin(), t.data.end(), [](float x) { return !std::isfinite(x); });
  if (bad != t.data.end()) {
    return wrong("weight " + quoted(name) + " holds a value that is not finite",
                 std::to_string(*bad) + " at element " + std::to_string(bad - t.data.begin()),
                 "finite numbers", "Train again from a checkpoint that is whole");
  }
  if (!name.ends_with(".norm.running_var")) return {};
  const auto negative = std::find_if(t.data.begin(), t.data.end(), [](float x) { return x < 0; });
  if (negative != t.data.end()) {
    return wrong(
        "variance " + quoted(name) + " is negative",
        std::to_string(*negative) + " at element " + std::to_string(negative - t.data.begin()),
        "numbers >= 0", "Train again from a checkpoint that is whole");
  }
  return {};
}

Status check_weights(const Graph& graph, const WeightSource& source) {
  const auto expected = expected_weights(graph);
  const std::vector<std::string_view> given = source.names();
  Tensor room;
  for (const auto& [name, shape] : expected) {
    const std::vector<int64_t>* found = source.shape(name);
    if (found == nullptr) {
      return wrong("weight " + quoted(name) + " is missing",
                   std::to_string(given.size()) + " weights without it",
                   "a tensor of shape " + shape_text(shape), "Add it, or remove its node");
    }
    if (*found != shape) {
      return wrong("weight " + quoted(name) + " has another shape", shape_text(*found),
                   shape_text(shape), "Use the weights of this graph");
    }
    const Result<const Tensor*> tensor = source.tensor(name, room);
    if (!tensor.ok()) return tensor.status();
    if (!has_elements(*tensor.value(), shape)) {
      return wrong("data of weight " + quoted(name) + " does not fit its shape",
                   std::to_string(tensor.value()->data.size()) + " elements", shape_text(shape),
                   "Give one element per position");
    }
    PVNET_TRY(check_values(name, *tensor.value()));
  }
  if (given.size() == expected.size()) return {};
  std::vector<std::string_view> names;
  names.reserve(expected.size());
  for (const auto& e : expected) names.emplace_back(e.first);
  std::sort(names.begin(), names.end());
  for (const std::string_view name : given) {
    if (!std::binary_search(names.begin(), names.end(), name)) {
      return wrong("weight " + quoted(name) + " belongs to no node",
                   "a tensor of shape " + shape_text(*source.shape(name)),
                   "only weights of the graph",
                   "Remove it, or use the graph that it was saved with");
    }
  }
  return {};
}

Status check_weights(const Graph& graph, const Weights& weights) {
  return check_weights(graph, WholeWeights(weights));
}

}  // namespace pvnet
