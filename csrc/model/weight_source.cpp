// SPDX-License-Identifier: Apache-2.0
#include "model/weight_source.hpp"

#include <utility>

namespace pvnet {

std::vector<std::string_view> WholeWeights::names() const {
  std::vector<std::string_view> all;
  all.reserve(weights_.size());
  for (const auto& [name, tensor] : weights_) all.emplace_back(name);
  return all;
}

const std::vector<int64_t>* WholeWeights::shape(std::string_view name) const {
  const auto it = weights_.find(name);
  return it == weights_.end() ? nullptr : &it->second.shape;
}

Result<const Tensor*> WholeWeights::tensor(std::string_view name, Tensor& /*room*/) const {
  return &weights_.find(name)->second;
}

Result<const Weights*> NodeWeights::of(const Node& node) {
  if (const Weights* all = source_.whole()) return all;
  if (node_ == node.name) return &held_;
  // The memory of the last kernel is that of the next one: weights are read first, biases are
  // small.
  Tensor room;
  if (const auto last = held_.find(node_ + ".weight"); last != held_.end()) {
    room = std::move(last->second);
  }
  held_.clear();
  node_.clear();
  for (const char* suffix : kWeightSuffixes) {
    std::string name = node.name + suffix;
    if (source_.shape(name) == nullptr) continue;
    const Result<const Tensor*> read = source_.tensor(name, room);
    if (!read.ok()) return read.status();
    if (read.value() == &room) {
      held_.emplace(std::move(name), std::exchange(room, Tensor{}));
    } else {
      held_.emplace(std::move(name), *read.value());
    }
  }
  node_ = node.name;
  return &held_;
}

}  // namespace pvnet
