// SPDX-License-Identifier: Apache-2.0
// Sums: convolutions that end in an element-wise add. The kernel sees the convolution's result
// before it is stored anywhere, so nobody else may read it, now or later.
#include <algorithm>

#include "backends/backend.hpp"
#include "plan/proof/proof.hpp"
#include "plan/sums.hpp"

namespace pvnet::proof {
namespace {

class Sums {
 public:
  explicit Sums(Proof& proof) : p_(proof) {}

  Status run() {
    p_.sum_of.assign(p_.nodes.size(), -1);
    for (size_t i = 0; i < p_.plan.ops.size(); ++i) {
      if (p_.plan.ops[i].sum != -1) PVNET_TRY(sum(i));
    }
    return {};
  }

 private:
  Proof& p_;

  bool is_node(int n) const { return n >= 0 && n < static_cast<int>(p_.nodes.size()); }

  Status sum(size_t i) {
    const PlanOp& op = p_.plan.ops[i];
    if (!is_node(op.node) || !is_node(op.sum) || op.converts ||
        !p_.plan.backend->layout.adds_residuals) {
      return wrong("sum of op " + std::to_string(i), std::to_string(op.sum), "none");
    }
    const Node& conv = p_.nodes[static_cast<size_t>(op.node)];
    const Node& add = p_.nodes[static_cast<size_t>(op.sum)];
    const bool adds =
        !p_.quantization.active() || adds_in_int8(p_.plan.graph, p_.quantization, op.node);
    const bool kinds = is_conv(conv.op) && adds && conv.attrs.act == Act::none && add.op == Op::add;
    if (!kinds || add.inputs.size() != 2 || !reads(add, op.node)) {
      return wrong("sum of " + quoted(conv.name), quoted(add.name), "none, or another");
    }
    if (conv.clock != add.clock || conv.stage != add.stage || !(conv.shape == add.shape)) {
      return wrong("sum of " + quoted(conv.name), "one of another clock, stage or shape", "none");
    }
    if (readers_of(op.node) != 1) {
      return wrong("readers of " + quoted(conv.name), "several", "the add that it ends in");
    }
    int& sum = p_.sum_of[static_cast<size_t>(op.node)];
    if (sum != -1) return wrong("sums of " + quoted(conv.name), "two", "one");
    sum = op.sum;
    return {};
  }

  // As it comes, in the same tick.
  static bool reads(const Node& add, int conv) {
    return std::any_of(add.inputs.begin(), add.inputs.end(),
                       [&](const Edge& e) { return e.src == conv && e.delay == 0 && !e.feedback; });
  }

  int64_t readers_of(int node) const {
    int64_t n = 0;
    for (const Node& reader : p_.nodes) {
      n += std::count_if(reader.inputs.begin(), reader.inputs.end(),
                         [&](const Edge& e) { return e.src == node; });
    }
    const auto& outputs = p_.plan.graph.outputs();
    return n + std::count_if(outputs.begin(), outputs.end(),
                             [&](const Output& o) { return o.node == node; });
  }
};

}  // namespace

Status prove_sums(Proof& proof) { return Sums(proof).run(); }

}  // namespace pvnet::proof
