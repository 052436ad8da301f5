// SPDX-License-Identifier: Apache-2.0
// Weights of a convolution or a linear node with its batch norm in them; those of a norm as they
// are.
#pragma once

#include <vector>

#include "plan/plan.hpp"

namespace pvnet {

class Folded {
 public:
  // Of a node whose tensors check_weights() has seen. Refuses what is not finite.
  Status fold(const Node& node, const Weights& weights);
  // Multiplies the weights of every input channel, as of a map whose elements are counts of steps.
  // Refuses what becomes infinite.
  Status scale_inputs(const Node& node, const std::vector<float>& scales);

  const float* weight() const { return weight_; }  // [out_c, in_c / groups, kt, kh, kw]
  size_t weight_count() const { return count_; }
  const std::vector<float>& bias() const { return bias_; }  // [out_c]

 private:
  const float* weight_ = nullptr;
  size_t count_ = 0;
  std::vector<float> bias_;
  std::vector<float> room_;  // the largest node decides
};

// Writes weights, then biases, of a scale or prelu node whose tensors check_weights() has seen.
Status fold_channels(const Node& node, const Weights& weights, float* to);

}  // namespace pvnet
