// SPDX-License-Identifier: Apache-2.0
#include "graph/cost_model.hpp"

#include "graph/infer.hpp"

namespace pvnet {

namespace {

// A core with AVX2 or AVX-512 makes 20 to 60 multiply-adds in the time it moves one float from or
// to its second-level cache, and spends a few microseconds on starting an operation.
constexpr double kMovedFloat = 16;
constexpr double kPoolTap = 4;
constexpr double kExp = 64;
constexpr double kStart = 20'000;

double elements(const Shape& s) { return static_cast<double>(s.c) * s.h * s.w; }

}  // namespace

bool has_exp(Act act) {
  switch (act) {
    case Act::none:
    case Act::relu:
    case Act::clamp:
    case Act::leaky_relu:
    case Act::hard_sigmoid:
    case Act::hard_swish:
      return false;
    default:
      return true;
  }
}

double estimated_cost(const std::vector<Node>& nodes, int index) {
  const Node& n = nodes[static_cast<size_t>(index)];
  if (is_free(n.op)) return 0;
  double read = 0;
  for (const Edge& e : n.inputs) {
    if (e.src >= 0) read += elements(nodes[static_cast<size_t>(e.src)].shape);
  }
  const double out = elements(n.shape);
  const Attrs& a = n.attrs;
  double cost = kStart + kMovedFloat * (read + out) + static_cast<double>(n.macs);
  if (n.op == Op::max_pool || n.op == Op::avg_pool) {
    cost += kPoolTap * out * a.kernel[0] * a.kernel[1] * a.kernel[2];
  }
  if (n.op == Op::global_pool) cost += kMovedFloat * read * (a.window - 1);
  // Mean, variance, result: each reads the map.
  if (n.op == Op::group_norm || n.op == Op::layer_norm) cost += 2 * kMovedFloat * out;
  // Every weight of a linear layer is read for one multiply-add.
  if (n.op == Op::linear) cost += (kMovedFloat - 1) * static_cast<double>(n.macs);
  if (has_exp(a.act)) cost += kExp * out;
  return cost;
}

}  // namespace pvnet
