// SPDX-License-Identifier: Apache-2.0
#include "plan/pack.hpp"

#include <algorithm>
#include <cmath>

#include "backends/backend.hpp"
#include "backends/kernel_api.hpp"
#include "host/memory_room.hpp"
#include "plan/op_params.hpp"

namespace pvnet {
namespace {

const std::vector<float>* find(const Weights& weights, const std::string& key) {
  const auto it = weights.find(key);
  return it == weights.end() ? nullptr : &it->second.data;
}

bool all_finite(const float* values, size_t n) {
  return std::all_of(values, values + n, [](float x) { return std::isfinite(x); });
}

bool all_finite(const std::vector<float>& values) {
  return all_finite(values.data(), values.size());
}

// Finite weights can fold into infinite ones, and then every tick would be NaN without a word.
Status refuse_fold(Code code, const Node& node, const char* what, const char* cure) {
  return {code, "[compile] " + std::string(what) + " of node '" + node.name +
                    "' cannot be computed: got NaN or Inf in float32, expected finite numbers. " +
                    cure};
}

Status check_scales(const Plan& plan) {
  for (size_t i = 0; i < plan.input_values.size(); ++i) {
    if (all_finite(plan.input_scale[i]) && all_finite(plan.input_shift[i])) continue;
    const Node& node = plan.graph.nodes()[plan.values[plan.input_values[i]].node];
    return refuse_fold(Code::graph, node, "mean and std", "Use a larger std or a smaller mean.");
  }
  for (const PlanOp& op : plan.ops) {
    if (all_finite(op.params->scale) && all_finite(op.params->shift)) continue;
    return refuse_fold(Code::graph, plan.graph.nodes()[op.node], "mean and std",
                       "Use a larger std or a smaller mean.");
  }
  return {};
}

}  // namespace

// The caller has run check_weights(): every tensor is there and has its shape.
Status pack_weights(Plan& plan, const Weights& weights) {
  PVNET_TRY(check_scales(plan));
  const HostKernels& kernels = *plan.backend->kernels;
  Size all;
  for (PlanOp& op : plan.ops) {
    if (op.params->op != Op::conv3d && op.params->op != Op::linear) continue;
    op.packed_offset = all.value();
    const auto floats = static_cast<int64_t>(kernels.conv_packed_floats(op.params->conv));
    all += (Size(floats) * int64_t{sizeof(float)}).rounded_up(plan.backend->layout.slot_granule);
  }
  PVNET_TRY(need_memory("compile", "the packed weights do not fit into memory", all,
                        "Use a narrower network or a machine with more memory."));
  plan.packed = AlignedBytes(static_cast<size_t>(all.value()));
  std::vector<float> folded;  // of one node; the largest decides
  for (const PlanOp& op : plan.ops) {
    if (op.packed_offset < 0) continue;
    const Node& node = plan.graph.nodes()[op.node];
    const std::vector<float>* weight = find(weights, node.name + ".weight");
    const std::vector<float>* bias = find(weights, node.name + ".bias");
    if (weight == nullptr) {
      return {Code::internal, "[compile] weight of node '" + node.name +
                                  "' vanished: got none, expected one. Report this bug."};
    }
    const int out_c = op.params->conv.out_c;
    const float* w = weight->data();
    std::vector<float> b = bias != nullptr ? *bias : std::vector<float>(out_c, 0.0f);
    if (node.attrs.norm) {
      const auto& gamma = *find(weights, node.name + ".norm.weight");
      const auto& beta = *find(weights, node.name + ".norm.bias");
      const auto& mean = *find(weights, node.name + ".norm.running_mean");
      const auto& var = *find(weights, node.name + ".norm.running_var");
      const size_t per_channel = weight->size() / out_c;
      if (folded.size() < weight->size()) folded.resize(weight->size());
      for (int o = 0; o < out_c; ++o) {
        const double scale =
            gamma[o] / std::sqrt(static_cast<double>(var[o]) + node.attrs.norm_eps);
        for (size_t i = 0; i < per_channel; ++i) {
          folded[o * per_channel + i] = static_cast<float>(w[o * per_channel + i] * scale);
        }
        b[o] = static_cast<float>((static_cast<double>(b[o]) - mean[o]) * scale + beta[o]);
      }
      w = folded.data();
    }
    if (!all_finite(w, weight->size()) || !all_finite(b.data(), b.size())) {
      return node.attrs.norm
                 ? refuse_fold(Code::invalid_argument, node, "the folded batch norm",
                               "Use a larger norm_eps, or repair running_var and the weights.")
                 : refuse_fold(Code::invalid_argument, node, "the weights", "Repair the weights.");
    }
    kernels.conv_pack(op.params->conv, w, b.data(),
                      reinterpret_cast<float*>(plan.packed.data() + op.packed_offset));
  }
  return {};
}

}  // namespace pvnet
