// SPDX-License-Identifier: Apache-2.0
// Which convolutions end in the sum of an element-wise add, so that one operation does both.
#pragma once

#include <vector>

#include "plan/plan.hpp"
#include "plan/quantization.hpp"

namespace pvnet {

struct Sums {
  std::vector<int> add_of;   // [node]; of a convolution the add that it ends in, else -1
  std::vector<int> conv_of;  // [node]; of such an add its convolution, else -1

  // The other input of add `n`.
  const Edge& residual(const Graph& graph, int n) const {
    const auto& inputs = graph.nodes()[static_cast<size_t>(n)].inputs;
    return inputs[0].src == conv_of[static_cast<size_t>(n)] ? inputs[1] : inputs[0];
  }
};

// order: topological. In plans of dtype int8 only convolutions over 8 bits add. The bits of the sum
// are those of two operations, whatever is fused.
Sums find_sums(const Graph& graph, const Layout& layout, const Quantization& quantization,
               const std::vector<int>& order);

// Whether the kernels of int8 add to what this convolution or linear node computes.
bool adds_in_int8(const Graph& graph, const Quantization& quantization, int node);

}  // namespace pvnet
