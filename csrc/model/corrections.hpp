// SPDX-License-Identifier: Apache-2.0
// What int8 adds to the biases of convolutions, as a model file keeps it: JSON in its metadata.
// Rounded weights move the mean of a channel; the correction moves it back. Other dtypes do
// without.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"
#include "graph/status.hpp"
#include "model/model_file.hpp"
#include "model/weight_source.hpp"

namespace pvnet {

constexpr const char* kCorrectionsKey = "corrections";  // {"node": [one of every channel], ...}

using Corrections = std::map<std::string, std::vector<float>, std::less<>>;  // by node

// Those of a model file's metadata; none where it has no such key. Finite.
Result<Corrections> stored_corrections(const Metadata& metadata);

// Every one belongs to a node with a bias or a batch norm, and has a number for every channel.
Status check_corrections(const Graph& graph, const Corrections& corrections);

// The weights of another source, which it borrows, with the corrections added to their biases: to
// that of the batch norm where the node has one.
class CorrectedWeights : public WeightSource {
 public:
  // Corrections that check_corrections() has passed.
  CorrectedWeights(const WeightSource& source, const Graph& graph, Corrections corrections);
  std::vector<std::string_view> names() const override { return source_.names(); }
  const std::vector<int64_t>* shape(std::string_view name) const override {
    return source_.shape(name);
  }
  Result<const Tensor*> tensor(std::string_view name, Tensor& room) const override;

 private:
  const WeightSource& source_;
  Corrections by_tensor_;
};

}  // namespace pvnet
