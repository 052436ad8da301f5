// SPDX-License-Identifier: Apache-2.0
// Where compile() takes weights from: one node at a time, so that those of a file or of another
// program need not lie in memory a second time while they are packed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"
#include "graph/status.hpp"
#include "model/model_file.hpp"

namespace pvnet {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual std::vector<std::string_view> names() const = 0;
  // nullptr: there is none of that name.
  virtual const std::vector<int64_t>* shape(std::string_view name) const = 0;
  // A tensor that is there: read into `room`, or one that lies in memory anyhow.
  virtual Result<const Tensor*> tensor(std::string_view name, Tensor& room) const = 0;
  // All tensors, where they lie in memory anyhow.
  virtual const Weights* whole() const { return nullptr; }
};

// Borrows a map.
class WholeWeights : public WeightSource {
 public:
  explicit WholeWeights(const Weights& weights) : weights_(weights) {}
  std::vector<std::string_view> names() const override;
  const std::vector<int64_t>* shape(std::string_view name) const override;
  Result<const Tensor*> tensor(std::string_view name, Tensor& room) const override;
  const Weights* whole() const override { return &weights_; }

 private:
  const Weights& weights_;
};

// As check_weights() of a map; no two tensors are held at a time.
Status check_weights(const Graph& graph, const WeightSource& source);

// The tensors of one node after the other, in memory that they share.
class NodeWeights {
 public:
  explicit NodeWeights(const WeightSource& source) : source_(source) {}
  // At least those of the node, as far as they are there; valid until the next call.
  Result<const Weights*> of(const Node& node);

 private:
  const WeightSource& source_;
  std::string node_;
  Weights held_;
};

}  // namespace pvnet
