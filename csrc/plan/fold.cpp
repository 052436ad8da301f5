// SPDX-License-Identifier: Apache-2.0
#include "plan/fold.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "graph/errors.hpp"

namespace pvnet {
namespace {

const std::vector<float>* find(const Weights& weights, const std::string& key) {
  const auto it = weights.find(key);
  return it == weights.end() ? nullptr : &it->second.data;
}

bool all_finite(const float* values, size_t n) {
  return std::all_of(values, values + n, [](float x) { return std::isfinite(x); });
}

Status vanished(const Node& node) {
  return {Code::internal, "[compile] weight of node '" + node.name +
                              "' vanished: got none, expected one. Report this bug."};
}

}  // namespace

Status fold_channels(const Node& node, const Weights& weights, float* to) {
  const std::vector<float>* weight = find(weights, node.name + ".weight");
  const std::vector<float>* bias = find(weights, node.name + ".bias");
  if (weight == nullptr) return vanished(node);
  to = std::copy(weight->begin(), weight->end(), to);
  if (node.op == Op::prelu) return {};
  if (bias != nullptr) {
    std::copy(bias->begin(), bias->end(), to);
  } else {
    std::fill_n(to, node.shape.c, 0.0f);
  }
  return {};
}

Status Folded::fold(const Node& node, const Weights& weights) {
  const std::vector<float>* weight = find(weights, node.name + ".weight");
  const std::vector<float>* bias = find(weights, node.name + ".bias");
  if (weight == nullptr) return vanished(node);
  const auto channels = static_cast<size_t>(node.shape.c);
  weight_ = weight->data();
  count_ = weight->size();
  bias_ = bias != nullptr ? *bias : std::vector<float>(channels, 0.0f);
  if (node.attrs.norm) {
    const auto& gamma = *find(weights, node.name + ".norm.weight");
    const auto& beta = *find(weights, node.name + ".norm.bias");
    const auto& mean = *find(weights, node.name + ".norm.running_mean");
    const auto& var = *find(weights, node.name + ".norm.running_var");
    const size_t per_channel = count_ / channels;
    if (room_.size() < count_) room_.resize(count_);
    for (size_t o = 0; o < channels; ++o) {
      const double scale = gamma[o] / std::sqrt(static_cast<double>(var[o]) + node.attrs.norm_eps);
      for (size_t i = 0; i < per_channel; ++i) {
        room_[o * per_channel + i] = static_cast<float>(weight_[o * per_channel + i] * scale);
      }
      bias_[o] = static_cast<float>((static_cast<double>(bias_[o]) - mean[o]) * scale + beta[o]);
    }
    weight_ = room_.data();
  }
  if (all_finite(weight_, count_) && all_finite(bias_.data(), bias_.size())) return {};
  return failed(Code::invalid_argument, "compile",
                std::string(node.attrs.norm ? "the folded batch norm" : "the weights") +
                    " of node '" + node.name + "' cannot be computed",
                "NaN or Inf in float32", "finite numbers",
                node.attrs.norm ? "Use a larger norm_eps, or repair running_var and the weights."
                                : "Repair the weights.");
}

Status Folded::scale_inputs(const Node& node, const std::vector<float>& scales) {
  if (room_.size() < count_) room_.resize(count_);
  const auto channels = static_cast<size_t>(node.shape.c);
  const auto groups = static_cast<size_t>(node.attrs.groups);
  const size_t in = scales.size() / groups, taps = count_ / channels / in;
  size_t at = 0;
  for (size_t o = 0; o < channels; ++o) {
    const float* const scale = scales.data() + o / (channels / groups) * in;
    for (size_t i = 0; i < in; ++i) {
      for (size_t tap = 0; tap < taps; ++tap, ++at) room_[at] = weight_[at] * scale[i];
    }
  }
  weight_ = room_.data();
  if (all_finite(weight_, count_)) return {};
  return failed(
      Code::invalid_argument, "compile",
      "weights of node '" + node.name + "' times the ranges of what it reads are too large",
      "Inf in float32", "finite numbers", "Calibrate again, or repair the weights.");
}

}  // namespace pvnet
