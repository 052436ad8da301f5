// SPDX-License-Identifier: Apache-2.0
#include "plan/pack.hpp"

#include <algorithm>
#include <cmath>

#include "backends/backend.hpp"
#include "backends/device_layout.hpp"
#include "backends/element.hpp"
#include "backends/kernel_api.hpp"
#include "graph/errors.hpp"
#include "host/memory_room.hpp"
#include "model/weight_source.hpp"
#include "plan/device/pack.hpp"
#include "plan/fold.hpp"
#include "plan/op_params.hpp"

namespace pvnet {
namespace {

bool is_conv(Op op) { return op == Op::conv3d || op == Op::linear; }

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

Status refuse_scales(const Node& node) {
  return {Code::graph, "[compile] mean and std of node '" + node.name +
                           "' cannot be computed: got NaN or Inf in float32, expected finite "
                           "numbers. Use a larger std or a smaller mean."};
}

Status check_scales(const Plan& plan) {
  for (size_t i = 0; i < plan.input_values.size(); ++i) {
    if (all_finite(plan.input_scale[i]) && all_finite(plan.input_shift[i])) continue;
    return refuse_scales(plan.graph.nodes()[plan.values[plan.input_values[i]].node]);
  }
  for (const PlanOp& op : plan.ops) {
    if (all_finite(op.params->scale) && all_finite(op.params->shift)) continue;
    return refuse_scales(plan.graph.nodes()[op.node]);
  }
  return {};
}

// No weight is so large that rounding makes it infinite.
Status check_stored(const Node& node, Dtype dtype, const Folded& folded) {
  const float* const end = folded.weight() + folded.weight_count();
  if (dtype != Dtype::bf16 || std::all_of(folded.weight(), end, [&](float x) {
        return std::isfinite(rounded_to(dtype, x));
      })) {
    return {};
  }
  return failed(
      Code::invalid_argument, "compile",
      "a weight of node " + quoted(node.name) + " does not fit " + std::string(to_string(dtype)),
      "one that becomes infinite", "smaller weights",
      "Compile with dtype=\"f32\", or repair the weights.");
}

// Of the maps that the channels of an operation's input lie in.
std::vector<float> input_scales(const Plan& plan, const PlanOp& op) {
  std::vector<float> scales;
  for (const Segment& s : op.operands[0]) {
    scales.insert(scales.end(), static_cast<size_t>(s.c), plan.values[s.value].scale);
  }
  return scales;
}

Status make_room(Plan& plan, Size bytes) {
  PVNET_TRY(need_memory("compile", "the packed weights do not fit into memory", bytes,
                        "Use a narrower network or a machine with more memory."));
  plan.packed = AlignedBytes(static_cast<size_t>(bytes.value()));
  return {};
}

Status pack_for_host(Plan& plan, const WeightSource& source) {
  const HostKernels& kernels = *plan.backend->kernels;
  Size all;
  for (PlanOp& op : plan.ops) {
    const auto floats = static_cast<int64_t>(host_packed_floats(plan, op));
    if (floats == 0) continue;
    op.packed_offset = all.value();
    all += (Size(floats) * int64_t{sizeof(float)}).rounded_up(plan.backend->layout.slot_granule);
  }
  PVNET_TRY(make_room(plan, all));
  Folded folded;
  NodeWeights node_weights(source);
  for (const PlanOp& op : plan.ops) {
    if (op.packed_offset < 0) continue;
    const Node& node = plan.graph.nodes()[op.node];
    auto* const to = reinterpret_cast<float*>(plan.packed.data() + op.packed_offset);
    const Result<const Weights*> weights = node_weights.of(node);
    if (!weights.ok()) return weights.status();
    if (!is_conv(op.params->op)) {
      PVNET_TRY(fold_channels(node, *weights.value(), to));
      continue;
    }
    PVNET_TRY(folded.fold(node, *weights.value()));
    PVNET_TRY(check_stored(node, kernels.dtype, folded));
    if (op.params->conv.algorithm == ConvAlgorithm::int8) {
      PVNET_TRY(folded.scale_inputs(node, input_scales(plan, op)));
    }
    kernels.conv_pack(op.params->conv, folded.weight(), folded.bias().data(), to);
  }
  return {};
}

// Tables first: they say where weights lie.
Status pack_for_device(Plan& plan, const WeightSource& weights) {
  auto built = device::build(plan, {is_plain_isa(plan.backend->isa)});
  if (!built.ok()) return built.status();
  device::Program program = std::move(built).value();
  PVNET_TRY(make_room(plan, program.weight_bytes));
  PVNET_TRY(device::pack(plan, weights, program));
  plan.device = std::make_shared<const device::Program>(std::move(program));
  return {};
}

}  // namespace

size_t host_packed_floats(const Plan& plan, const PlanOp& op) {
  const OpParams& p = *op.params;
  if (is_conv(p.op)) return plan.backend->kernels->conv_packed_floats(p.conv);
  return static_cast<size_t>(channel_floats(p.op, plan.values[op.out_value].shape.c));
}

// The caller has run check_weights(): every tensor is there and has its shape.
Status pack_weights(Plan& plan, const WeightSource& weights) {
  PVNET_TRY(check_scales(plan));
  return plan.backend->kernels != nullptr ? pack_for_host(plan, weights)
                                          : pack_for_device(plan, weights);
}

}  // namespace pvnet
