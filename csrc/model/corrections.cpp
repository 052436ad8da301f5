// SPDX-License-Identifier: Apache-2.0
#include "model/corrections.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "graph/json.hpp"
#include "model/errors.hpp"

namespace pvnet {

using model::failure;
using model::quoted;

namespace {

constexpr const char* kCure = "Calibrate the model again, and save the ranges with pvnet.save";

bool are_numbers(const json::Value& list, std::vector<float>* numbers) {
  using Kind = json::Value::Kind;
  if (!list.is(Kind::array)) return false;
  constexpr double kLargest = std::numeric_limits<float>::max();
  for (const json::Value& item : list.items()) {
    if (!item.is(Kind::number) || std::fabs(item.as_number()) > kLargest) return false;
    numbers->push_back(static_cast<float>(item.as_number()));
  }
  return true;
}

bool has_bias(const Node& node) {
  const bool conv = node.op == Op::conv3d || node.op == Op::linear;
  return conv && (node.attrs.bias || (node.op == Op::conv3d && node.attrs.norm));
}

std::string bias_of(const Node& node) {
  return node.name + (node.op == Op::conv3d && node.attrs.norm ? ".norm.bias" : ".bias");
}

}  // namespace

Result<Corrections> stored_corrections(const Metadata& metadata) {
  Corrections corrections;
  const auto it = metadata.find(kCorrectionsKey);
  if (it == metadata.end()) return corrections;
  const std::string where = "metadata '" + std::string(kCorrectionsKey) + "'";
  const Result<json::Value> parsed = json::parse(it->second, "load_model");
  if (!parsed.ok() || !parsed.value().is(json::Value::Kind::object)) {
    return failure(Code::file, "load_model", where + " has no corrections", quoted(it->second),
                   R"(JSON such as {"node": [0.25, -0.5]})", kCure);
  }
  for (const auto& [name, list] : parsed.value().members()) {
    if (!are_numbers(list, &corrections[name])) {
      return failure(Code::file, "load_model",
                     where + " has no corrections of node " + quoted(name), quoted(list.dump()),
                     "finite numbers of f32", kCure);
    }
  }
  return corrections;
}

Status check_corrections(const Graph& graph, const Corrections& corrections) {
  for (const auto& [name, numbers] : corrections) {
    const int found = graph.find(name);
    const Node* node = found < 0 ? nullptr : &graph.nodes()[static_cast<size_t>(found)];
    if (node == nullptr || !has_bias(*node)) {
      return failure(Code::invalid_argument, "compile", "corrections belong to no bias",
                     quoted(name), "the name of a convolution with a bias or a norm", kCure);
    }
    const bool finite =
        std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); });
    if (numbers.size() != static_cast<size_t>(node->attrs.out) || !finite) {
      return failure(Code::invalid_argument, "compile",
                     "the corrections of node " + quoted(name) + " do not fit it",
                     std::to_string(numbers.size()) + (finite ? "" : " with NaN or Inf"),
                     std::to_string(node->attrs.out) + " finite numbers", kCure);
    }
  }
  return {};
}

CorrectedWeights::CorrectedWeights(const WeightSource& source, const Graph& graph,
                                   Corrections corrections)
    : source_(source) {
  for (auto& [name, numbers] : corrections) {
    by_tensor_[bias_of(graph.nodes()[static_cast<size_t>(graph.find(name))])] = std::move(numbers);
  }
}

Result<const Tensor*> CorrectedWeights::tensor(std::string_view name, Tensor& room) const {
  Result<const Tensor*> read = source_.tensor(name, room);
  const auto correction = by_tensor_.find(name);
  if (!read.ok() || correction == by_tensor_.end()) return read;
  if (read.value() != &room) room = *read.value();
  const std::vector<float>& more = correction->second;
  // A tensor of another size is refused by whoever looks at its shape.
  for (size_t i = 0; i < std::min(more.size(), room.data.size()); ++i) room.data[i] += more[i];
  return &room;
}

}  // namespace pvnet
