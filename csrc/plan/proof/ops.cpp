// SPDX-License-Identifier: Apache-2.0
// Ops: which node each computes, with what parameters; the values that frames are written to.
#include <algorithm>

#include "backends/backend.hpp"
#include "backends/kernel_api.hpp"
#include "plan/op_params.hpp"
#include "plan/options.hpp"
#include "plan/proof/proof.hpp"

namespace pvnet::proof {
namespace {

bool same_kernel(const ConvShape& a, const ConvShape& b) {
  return a.in_h == b.in_h && a.in_w == b.in_w && a.in_c == b.in_c && a.out_h == b.out_h &&
         a.out_w == b.out_w && a.out_c == b.out_c && a.kt == b.kt && a.kh == b.kh && a.kw == b.kw &&
         a.sh == b.sh && a.sw == b.sw && a.ph == b.ph && a.pw == b.pw && a.dh == b.dh &&
         a.dw == b.dw && a.groups == b.groups && a.act == b.act && a.numbers == b.numbers &&
         a.algorithm == b.algorithm && a.residual == b.residual && a.alone == b.alone;
}

// (x / range - mean) / std as x * scale + shift.
Status scale_and_shift(const Node& node, double range, const std::vector<float>& scale,
                       const std::vector<float>& shift) {
  const auto channels = static_cast<size_t>(node.shape.c);
  if (scale.size() != channels || shift.size() != channels) {
    return wrong("scales of " + quoted(node.name), std::to_string(scale.size()),
                 std::to_string(channels));
  }
  for (size_t c = 0; c < channels; ++c) {
    const float mean = node.attrs.mean.empty() ? 0.0f : node.attrs.mean[c];
    const float std_dev = node.attrs.std.empty() ? 1.0f : node.attrs.std[c];
    const auto a = static_cast<float>(1.0 / (range * std_dev));
    const auto b = static_cast<float>(-static_cast<double>(mean) / std_dev);
    if (scale[c] == a && shift[c] == b) continue;
    return wrong("scale of channel " + std::to_string(c) + " of " + quoted(node.name),
                 std::to_string(scale[c]) + ", " + std::to_string(shift[c]),
                 std::to_string(a) + ", " + std::to_string(b));
  }
  return {};
}

int temporal_taps(const Node& node) {
  if (node.op == Op::global_pool) return node.attrs.window;
  const bool window = node.op == Op::conv3d || node.op == Op::max_pool || node.op == Op::avg_pool;
  return window ? node.attrs.kernel[0] : 1;
}

class Ops {
 public:
  explicit Ops(Proof& proof) : p_(proof), plan_(proof.plan) {}

  Status run() {
    p_.writer_of.assign(plan_.values.size(), -1);
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      PVNET_TRY(target(i));
      PVNET_TRY(timing(i));
      PVNET_TRY(parameters(i));
      PVNET_TRY(tiles(i));
    }
    PVNET_TRY(lane_memory());
    return inputs();
  }

 private:
  Proof& p_;
  const Plan& plan_;

  ConvShape conv_of(const Node& node, const Node* add = nullptr) const {
    const auto n = static_cast<int>(&node - p_.nodes.data());
    ConvShape s = conv_shape_of(plan_, node, p_.quantization.is_int8(n), add);
    if (add != nullptr && p_.quantization.active()) s.alone = p_.quantization.computed(n);
    return s;
  }
  const Node& node_of(size_t op) const { return p_.nodes[static_cast<size_t>(plan_.ops[op].node)]; }

  // As many ops as values that no frame writes, and none written twice: each has its own.
  Status target(size_t i) {
    const PlanOp& op = plan_.ops[i];
    if (op.node < 0 || op.node >= static_cast<int>(p_.nodes.size())) {
      return wrong("node of op " + std::to_string(i), std::to_string(op.node), "a node");
    }
    const int value = p_.value_of[static_cast<size_t>(op.sum >= 0 ? op.sum : op.node)];
    if (value < 0 || node_of(i).op == Op::input) {
      return wrong("op of " + p_.op_name(i), "one", "none, it computes nothing");
    }
    const bool right = op.converts ? is_further(op.out_value, op.node) : op.out_value == value;
    if (!right) {
      return wrong("value written by " + p_.op_name(i), std::to_string(op.out_value),
                   op.converts ? "a further one of the node" : std::to_string(value));
    }
    int& writer = p_.writer_of[static_cast<size_t>(op.out_value)];
    if (writer != -1) return wrong("writers of value " + p_.name(op.out_value), "two", "one");
    writer = static_cast<int>(i);
    return {};
  }

  bool is_further(int value, int node) const {
    if (value < 0 || value >= static_cast<int>(plan_.values.size())) return false;
    const Value& v = plan_.values[static_cast<size_t>(value)];
    return v.node == node && p_.others.contains({node, v.form()});
  }

  Status timing(size_t i) const {
    const PlanOp& op = plan_.ops[i];
    const Node& node = node_of(i);
    if (op.clock != node.clock) return wrong("clock of " + p_.op_name(i), "another", "the node's");
    if (op.stage != node.stage) {
      return wrong("stage of " + p_.op_name(i), std::to_string(op.stage),
                   std::to_string(node.stage));
    }
    const int taps = op.converts ? 1 : temporal_taps(node);
    const int dilation = node.op == Op::conv3d && !op.converts ? node.attrs.dilation[0] : 1;
    if (op.taps == taps && op.dilation == dilation) return {};
    return wrong("taps and dilation of " + p_.op_name(i),
                 std::to_string(op.taps) + ", " + std::to_string(op.dilation),
                 std::to_string(taps) + ", " + std::to_string(dilation));
  }

  // The segments among the parameters are proved with the reads.
  Status parameters(size_t i) const {
    const PlanOp& op = plan_.ops[i];
    const Node& node = node_of(i);
    if (op.params == nullptr) return wrong("parameters of " + p_.op_name(i), "none", "some");
    if (op.converts) {
      if (op.params->op == Op::act && op.params->attrs == Attrs{}) return {};
      return wrong("parameters of the conversion of " + p_.op_name(i), "others", "those of a copy");
    }
    if (op.params->op != node.op || op.params->attrs != node.attrs) {
      return wrong("attributes of " + p_.op_name(i), "others", "the node's");
    }
    if (is_conv(node.op) && !same_kernel(op.params->conv, conv_of(node, p_.add_of(i)))) {
      return wrong("shape of the convolution " + p_.op_name(i), "another", "the node's");
    }
    if (node.op == Op::normalize) {
      return scale_and_shift(node, 1.0, op.params->scale, op.params->shift);
    }
    return {};
  }

  Status tiles(size_t i) const {
    const Node& node = node_of(i);
    const Op work = plan_.ops[i].converts ? Op::act : node.op;
    ConvShape conv = is_conv(work) ? conv_of(node) : ConvShape{};
    if (work == Op::group_norm) conv.groups = node.attrs.groups;
    const int expected = plan_.backend->tiles(work, conv, node.shape);
    if (plan_.ops[i].tiles == expected) return {};
    return wrong("tiles of " + p_.op_name(i), std::to_string(plan_.ops[i].tiles),
                 std::to_string(expected));
  }

  // What the neediest of the kernels' calls takes.
  Status lane_memory() const {
    size_t floats = 0;
    for (const PlanOp& op : plan_.ops) {
      if (plan_.backend->kernels == nullptr || !is_conv(op.params->op)) continue;
      floats = std::max(floats, plan_.backend->kernels->conv_scratch_floats(op.params->conv));
    }
    const auto expected = static_cast<int64_t>(floats * sizeof(float));
    if (plan_.lane_bytes == expected) return {};
    return wrong("bytes of a lane", std::to_string(plan_.lane_bytes), std::to_string(expected));
  }

  Status inputs() const {
    size_t next = 0;
    for (size_t n = 0; n < p_.nodes.size(); ++n) {
      if (p_.nodes[n].op != Op::input) continue;
      const size_t i = next++;
      if (plan_.input_values[i] != p_.value_of[n]) {
        return wrong("value of input " + quoted(p_.nodes[n].name),
                     std::to_string(plan_.input_values[i]), std::to_string(p_.value_of[n]));
      }
      // The frame is there before the tick begins, when scratch belongs to nobody.
      if (!plan_.values[static_cast<size_t>(plan_.input_values[i])].persistent) {
        return wrong("memory of input " + quoted(p_.nodes[n].name), "scratch", "state");
      }
      PVNET_TRY(scale_and_shift(p_.nodes[n], 255.0, plan_.input_scale[i], plan_.input_shift[i]));
    }
    return {};
  }
};

}  // namespace

ConvShape conv_shape_of(const Plan& plan, const Node& node, bool int8, const Node* add) {
  const Shape& in = plan.graph.nodes()[static_cast<size_t>(node.inputs[0].src)].shape;
  const Attrs& a = node.attrs;
  ConvShape s;
  s.in_c = in.c, s.in_h = in.h, s.in_w = in.w;
  s.out_c = node.shape.c, s.out_h = node.shape.h, s.out_w = node.shape.w;
  const Attrs& last = add != nullptr ? add->attrs : a;
  s.residual = add != nullptr;
  s.act = last.act;
  s.numbers.a = static_cast<float>(last.act_slope);
  if (last.act == Act::clamp) {
    s.numbers.a = static_cast<float>(last.act_low);
    s.numbers.b = static_cast<float>(last.act_high);
  }
  if (node.op == Op::linear) {  // one window, as large as the map
    s.kh = in.h, s.kw = in.w;
    if (int8) s.algorithm = ConvAlgorithm::int8;
    return s;
  }
  s.kt = a.kernel[0], s.kh = a.kernel[1], s.kw = a.kernel[2];
  s.sh = a.stride[1], s.sw = a.stride[2];
  s.dh = a.dilation[1], s.dw = a.dilation[2];
  s.ph = a.padding[0], s.pw = a.padding[1];
  s.groups = a.groups;
  s.algorithm = algorithm_for(plan.options, plan.backend->kernels, s, node.name, int8);
  return s;
}

Status prove_ops(Proof& proof) { return Ops(proof).run(); }

}  // namespace pvnet::proof
