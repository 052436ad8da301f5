// SPDX-License-Identifier: Apache-2.0
#include "plan/sums.hpp"

#include <algorithm>

#include "plan/op_params.hpp"

namespace pvnet {
namespace {

// How many operations of one tick come one after the other before a node has its value.
std::vector<int> depths(const Graph& graph, const std::vector<int>& order) {
  std::vector<int> depth(graph.nodes().size(), 0);
  for (const int n : order) {
    for (const Edge& e : graph.nodes()[n].inputs) {
      if (e.delay != 0 || e.feedback) continue;
      depth[n] = std::max(depth[n], depth[e.src] + (is_virtual(graph.nodes()[n].op) ? 0 : 1));
    }
  }
  return depth;
}

std::vector<int> reader_counts(const Graph& graph) {
  std::vector<int> readers(graph.nodes().size(), 0);
  for (const Node& node : graph.nodes()) {
    for (const Edge& e : node.inputs) ++readers[e.src];
  }
  for (const Output& o : graph.outputs()) ++readers[o.node];
  return readers;
}

// Whether an edge leads to one value of this shape.
bool reads_one_map(const Graph& graph, const Edge& edge, const Shape& shape) {
  int n = edge.src;
  while (is_virtual(graph.nodes()[n].op)) {
    if (graph.nodes()[n].inputs.size() != 1) return false;
    n = graph.nodes()[n].inputs[0].src;
  }
  return graph.nodes()[n].shape == shape;
}

}  // namespace

bool adds_in_int8(const Graph& graph, const Quantization& quantization, int node) {
  const Node& conv = graph.nodes()[static_cast<size_t>(node)];
  const bool depthwise = conv.op == Op::conv3d && conv.attrs.groups > 1 &&
                         conv.attrs.groups == graph.nodes()[conv.inputs[0].src].shape.c &&
                         conv.attrs.groups == conv.shape.c;
  return quantization.is_int8(node) && !depthwise;
}

Sums find_sums(const Graph& graph, const Layout& layout, const Quantization& quantization,
               const std::vector<int>& order) {
  const auto& nodes = graph.nodes();
  Sums sums{std::vector<int>(nodes.size(), -1), std::vector<int>(nodes.size(), -1)};
  if (!layout.adds_residuals) return sums;
  const std::vector<int> depth = depths(graph, order), readers = reader_counts(graph);
  // Nobody but the add needs the convolution's value, and the add needs it as it comes.
  const auto fits = [&](const Node& add, const Edge& to, const Edge& other) {
    const Node& conv = nodes[to.src];
    return (conv.op == Op::conv3d || conv.op == Op::linear) && conv.attrs.act == Act::none &&
           to.delay == 0 && !to.feedback && readers[to.src] == 1 && conv.clock == add.clock &&
           conv.stage == add.stage && conv.shape == add.shape &&
           (!quantization.active() || adds_in_int8(graph, quantization, to.src)) &&
           reads_one_map(graph, other, add.shape);
  };
  for (const int n : order) {
    const Node& add = nodes[n];
    if (add.op != Op::add || add.inputs.size() != 2) continue;
    const bool first = fits(add, add.inputs[0], add.inputs[1]);
    const bool second = fits(add, add.inputs[1], add.inputs[0]);
    if (!first && !second) continue;
    // Of two the deeper one: the other is done by then.
    const int a = add.inputs[0].src, b = add.inputs[1].src;
    const int conv = first && second ? (depth[a] > depth[b] ? a : b) : first ? a : b;
    sums.add_of[conv] = n;
    sums.conv_of[n] = conv;
  }
  return sums;
}

}  // namespace pvnet
