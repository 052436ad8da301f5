// SPDX-License-Identifier: Apache-2.0
// Packed weights and biases against those of the nodes. Packing moves numbers and adds zeros: so
// the sum of all bits of an operation is that of what belongs there, in any order. Biases lie in
// order.
#include <bit>
#include <cmath>
#include <cstring>

#include "model/weight_source.hpp"
#include "plan/device/checks.hpp"
#include "plan/device/number.hpp"
#include "plan/op_params.hpp"

namespace pvnet::device {
namespace {

// Of one node: channel by channel, with its batch norm.
class FoldedNode {
 public:
  FoldedNode(const Node& node, const Weights& weights) : node_(node), weights_(weights) {
    weight_ = find(".weight");
    bias_ = node.attrs.bias ? find(".bias") : nullptr;
    if (!node.attrs.norm) return;
    gamma_ = find(".norm.weight"), beta_ = find(".norm.bias");
    mean_ = find(".norm.running_mean"), variance_ = find(".norm.running_var");
  }
  bool complete() const { return complete_; }
  size_t per_channel() const { return weight_->size() / static_cast<size_t>(node_.shape.c); }

  float weight(size_t channel, size_t i) const {
    const float w = (*weight_)[channel * per_channel() + i];
    return gamma_ == nullptr ? w : static_cast<float>(w * scale(channel));
  }
  float bias(size_t channel) const {
    const float b = bias_ == nullptr ? 0.0f : (*bias_)[channel];
    if (gamma_ == nullptr) return b;
    const double centred = static_cast<double>(b) - (*mean_)[channel];
    return static_cast<float>(centred * scale(channel) + (*beta_)[channel]);
  }

 private:
  using Floats = std::vector<float>;
  const Node& node_;
  const Weights& weights_;
  const Floats *weight_ = nullptr, *bias_ = nullptr, *gamma_ = nullptr, *beta_ = nullptr,
               *mean_ = nullptr, *variance_ = nullptr;
  bool complete_ = true;

  const Floats* find(const char* suffix) {
    const auto it = weights_.find(node_.name + suffix);
    complete_ = complete_ && it != weights_.end();
    return it == weights_.end() ? nullptr : &it->second.data;
  }
  double scale(size_t channel) const {
    return (*gamma_)[channel] / std::sqrt((*variance_)[channel] + node_.attrs.norm_eps);
  }
};

template <class Element>
uint64_t sum(const std::byte* from, size_t bytes) {
  uint64_t total = 0;
  for (size_t at = 0; at < bytes; at += sizeof(Element)) {
    Element element;
    std::memcpy(&element, from + at, sizeof(element));
    total += element;
  }
  return total;
}

uint64_t expected_sum(const FoldedNode& node, const pv_op& op, pv_dtype dtype) {
  const bool f32 = op.kind == PV_DEPTHWISE;
  uint64_t total = 0;
  for (size_t o = 0; o < static_cast<size_t>(op.out_c); ++o) {
    for (size_t i = 0; i < node.per_channel(); ++i) {
      const float w = node.weight(static_cast<size_t>(op.out_c0) + o, i);
      total += f32 ? std::bit_cast<uint32_t>(w) : stored(w, dtype, op.plain == 0);
    }
  }
  return total;
}

// Of a node with weights of channels: weights, then biases, or zeros.
Status check_channels(const Node& node, const float* floats, const Weights& weights) {
  const auto channels = static_cast<size_t>(node.shape.c);
  const auto same = [&](const float* found, const char* suffix, bool there) {
    const auto it = weights.find(node.name + suffix);
    if (there && (it == weights.end() || it->second.data.size() != channels)) return false;
    for (size_t c = 0; c < channels; ++c) {
      const float expected = there ? it->second.data[c] : 0.0f;
      if (std::bit_cast<uint32_t>(found[c]) != std::bit_cast<uint32_t>(expected)) return false;
    }
    return true;
  };
  const bool bias = node.op != Op::prelu && node.attrs.bias;
  if (same(floats, ".weight", true) && same(floats + channels, ".bias", bias)) return {};
  return wrong("weights of the channels of " + quoted(node.name), "others", "those of the node");
}

}  // namespace

// check() has proved that operations lie one behind the other.
Status check_weights(const Plan& plan, const Program& p, const WeightSource& source) {
  NodeWeights node_weights(source);
  int64_t end = static_cast<int64_t>(plan.packed.size());
  for (size_t i = p.ops.size(); i-- > 0;) {
    const pv_op& op = p.ops[i];
    const PlanOp& plan_op = plan.ops[static_cast<size_t>(p.plan_op[i])];
    if (channel_floats(plan_op.params->op, op.out_c) > 0) {
      const Node& channels = plan.graph.nodes()[static_cast<size_t>(plan_op.node)];
      const Result<const Weights*> weights = node_weights.of(channels);
      if (!weights.ok()) return weights.status();
      PVNET_TRY(check_channels(channels, p.floats.data() + op.floats, *weights.value()));
    }
    if (op.kind != PV_CONV && op.kind != PV_DEPTHWISE) continue;
    const int node = plan.ops[static_cast<size_t>(p.plan_op[i])].node;
    const Result<const Weights*> weights =
        node_weights.of(plan.graph.nodes()[static_cast<size_t>(node)]);
    if (!weights.ok()) return weights.status();
    const FoldedNode of(plan.graph.nodes()[static_cast<size_t>(node)], *weights.value());
    const std::string name = quoted(plan.graph.nodes()[static_cast<size_t>(node)].name);
    if (!of.complete()) return wrong("weights of " + name, "none", "those of the node");
    const std::byte* const from = plan.packed.data() + op.weights * 16;
    const auto bytes = static_cast<size_t>(end - op.weights * 16);
    const bool halves = (p.dtype == PV_F16 || p.dtype == PV_BF16) && op.kind != PV_DEPTHWISE;
    const uint64_t got = halves ? sum<uint16_t>(from, bytes) : sum<uint32_t>(from, bytes);
    if (got != expected_sum(of, op, p.dtype)) {
      return wrong("packed weights of " + name, "others", "those of the node");
    }
    for (int o = 0; o < op.out_c; ++o) {
      const float bias = of.bias(static_cast<size_t>(op.out_c0 + o));
      const float found = p.floats[static_cast<size_t>(op.floats + o)];
      if (std::bit_cast<uint32_t>(bias) == std::bit_cast<uint32_t>(found)) continue;
      return wrong("bias of " + name, "another", "that of the node");
    }
    if (op.out_c % 2 != 0 &&
        std::bit_cast<uint32_t>(p.floats[static_cast<size_t>(op.floats + op.out_c)]) != 0) {
      return wrong("float behind the biases of " + name, "some", "zero");
    }
    end = op.weights * 16;
  }
  return {};
}

}  // namespace pvnet::device
