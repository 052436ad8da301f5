// SPDX-License-Identifier: Apache-2.0
// Packed weights: where they lie, and that they are the folded ones of the right node.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "backends/backend.hpp"
#include "backends/element.hpp"
#include "backends/kernel_api.hpp"
#include "backends/winograd.hpp"
#include "model/weight_source.hpp"
#include "plan/device/checks.hpp"
#include "plan/op_params.hpp"
#include "plan/proof/proof.hpp"

namespace pvnet::proof {
namespace {

struct Extent {
  int64_t lo = 0, hi = 0;  // bytes
  size_t op = 0;
};

const std::string& name_of(const Plan& plan, size_t op) {
  return plan.graph.nodes()[static_cast<size_t>(plan.ops[op].node)].name;
}

// Sums of floats as bits: exact, in any order. Packing moves floats (or their transforms) and adds
// zeros, so the sum of an extent is that of what belongs there; how a layout orders them is the
// backend's own affair.
uint64_t sum(const float* floats, size_t count) {
  uint64_t total = 0;
  for (size_t i = 0; i < count; ++i) total += std::bit_cast<uint32_t>(floats[i]);
  return total;
}
// The same of halves of floats, two of which share a place where elements have 16 bits. The rounded
// weight of a kernel has one half that is not 0, whether it lies there as a float or as an element.
uint64_t half_sum(const float* floats, size_t count) {
  uint64_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<uint32_t>(floats[i]);
    total += (bits >> 16) + (bits & 0xffffU);
  }
  return total;
}
uint64_t sum(const float* floats, size_t count, Dtype dtype) {
  return element_bytes(dtype) == 2 ? half_sum(floats, count) : sum(floats, count);
}

// How the kernels of a convolution are stored.
struct Stored {
  Dtype dtype;
  int m;  // as they are, or (not 0) at the points of tiles of m x m
};

// Of 3x3 kernels times `scale`.
uint64_t kernel_sum(const float* floats, size_t count, double scale, Stored stored) {
  uint64_t total = 0;
  const int m = stored.m;
  float kernel[9], points[36];
  for (size_t i = 0; i < count; ++i) {
    const auto folded = static_cast<float>(floats[i] * scale);
    if (m == 0) {
      const bool halves = element_bytes(stored.dtype) == 2;
      total += halves ? bf16_bits(folded) : std::bit_cast<uint32_t>(folded);
      continue;
    }
    kernel[i % 9] = rounded_to(stored.dtype, folded);
    if (i % 9 < 8) continue;
    winograd_weights(m, kernel, points);
    total += sum(points, static_cast<size_t>((m + 2) * (m + 2)), stored.dtype);
  }
  return total;
}

// Of weight and bias of a node with the batch norm in them; false where a tensor is missing or
// misshapen.
bool folded_sum(const Node& node, const ConvShape& s, Dtype dtype, const Weights& weights,
                uint64_t& total) {
  const auto channels = static_cast<size_t>(s.out_c);
  const size_t each = static_cast<size_t>(s.in_c / s.groups) * static_cast<size_t>(s.kt) *
                      static_cast<size_t>(s.kh) * static_cast<size_t>(s.kw);
  const Stored stored{dtype, tile_size(s.algorithm)};
  bool there = true;
  const auto tensor = [&](const char* suffix, size_t size) -> const float* {
    const auto it = weights.find(node.name + suffix);
    there = there && it != weights.end() && it->second.data.size() == size;
    return there ? it->second.data.data() : nullptr;
  };
  const float* const weight = tensor(".weight", each * channels);
  const float* const bias = node.attrs.bias ? tensor(".bias", channels) : nullptr;
  if (there && !node.attrs.norm) {
    total = kernel_sum(weight, each * channels, 1.0, stored) +
            (bias == nullptr ? 0 : sum(bias, channels, dtype));
    return true;
  }
  const float* const gamma = tensor(".norm.weight", channels);
  const float* const beta = tensor(".norm.bias", channels);
  const float* const mean = tensor(".norm.running_mean", channels);
  const float* const variance = tensor(".norm.running_var", channels);
  if (!there) return false;
  total = 0;
  for (size_t o = 0; o < channels; ++o) {
    const double deviation = std::sqrt(static_cast<double>(variance[o]) + node.attrs.norm_eps);
    const double scale = gamma[o] / deviation;
    total += kernel_sum(weight + o * each, each, scale, stored);
    const double centred = static_cast<double>(bias == nullptr ? 0.0f : bias[o]) - mean[o];
    const auto shifted = static_cast<float>(centred * scale + beta[o]);
    total += sum(&shifted, 1, dtype);
  }
  return true;
}

// What a convolution over maps of 8 bits must have: the folded weights times the scales of what it
// reads, packed anew; false where a tensor is missing or misshapen, or others lie there.
bool same_int8(const Plan& plan, const PlanOp& op, const Node& node, const Weights& weights,
               const float* packed) {
  const ConvShape& s = op.params->conv;  // proved with the op
  const auto channels = static_cast<size_t>(s.out_c), in = static_cast<size_t>(s.in_c / s.groups);
  const size_t taps = static_cast<size_t>(s.kt) * static_cast<size_t>(s.kh * s.kw);
  bool there = true;
  const auto tensor = [&](const char* suffix, bool given, size_t size) -> const float* {
    const auto it = weights.find(node.name + suffix);
    if (!given) return nullptr;
    there = there && it != weights.end() && it->second.data.size() == size;
    return there ? it->second.data.data() : nullptr;
  };
  const bool norm = node.attrs.norm;
  const float* const weight = tensor(".weight", true, channels * in * taps);
  const float* const bias = tensor(".bias", node.attrs.bias, channels);
  const float* const gamma = tensor(".norm.weight", norm, channels);
  const float* const beta = tensor(".norm.bias", norm, channels);
  const float* const mean = tensor(".norm.running_mean", norm, channels);
  const float* const variance = tensor(".norm.running_var", norm, channels);
  if (!there) return false;
  std::vector<float> step;  // [in_c]
  for (const Segment& segment : op.operands[0]) {
    const Value& value = plan.values[static_cast<size_t>(segment.value)];
    for (int c = 0; c < segment.c; ++c) step.push_back(value.scale);
  }
  std::vector<float> w(channels * in * taps), b(channels);
  for (size_t o = 0; o < channels; ++o) {
    double scale = 1.0;
    b[o] = bias == nullptr ? 0.0f : bias[o];
    if (norm) {
      scale = gamma[o] / std::sqrt(static_cast<double>(variance[o]) + node.attrs.norm_eps);
      b[o] = static_cast<float>((static_cast<double>(b[o]) - mean[o]) * scale + beta[o]);
    }
    const size_t first = o * static_cast<size_t>(s.groups) / channels * in;
    for (size_t i = 0; i < in * taps; ++i) {
      const auto folded = static_cast<float>(weight[o * in * taps + i] * scale);
      w[o * in * taps + i] = folded * step[first + i / taps];
    }
  }
  std::vector<float> expected(plan.backend->kernels->conv_packed_floats(s));
  plan.backend->kernels->conv_pack(s, w.data(), b.data(), expected.data());
  return std::memcmp(packed, expected.data(), expected.size() * sizeof(float)) == 0;
}

// Weights, then biases, in order.
bool same_channels(const Node& node, const float* packed, const Weights& weights) {
  const auto channels = static_cast<size_t>(node.shape.c);
  const auto same = [&](const char* suffix, size_t at) {
    const auto it = weights.find(node.name + suffix);
    return it != weights.end() && it->second.data.size() == channels &&
           sum(packed + at, channels) == sum(it->second.data.data(), channels) &&
           std::equal(packed + at, packed + at + channels, it->second.data.begin());
  };
  if (!same(".weight", 0)) return false;
  if (node.op == Op::prelu) return true;
  return node.attrs.bias ? same(".bias", channels) : sum(packed + channels, channels) == 0;
}

Status content(const Plan& plan, const std::vector<Extent>& extents, const WeightSource& source) {
  NodeWeights node_weights(source);
  for (const Extent& extent : extents) {
    const Node& node = plan.graph.nodes()[static_cast<size_t>(plan.ops[extent.op].node)];
    const auto* floats = reinterpret_cast<const float*>(plan.packed.data() + extent.lo);
    const Result<const Weights*> of_node = node_weights.of(node);
    if (!of_node.ok()) return of_node.status();
    const Weights& weights = *of_node.value();
    if (has_channel_weights(node.op)) {
      if (same_channels(node, floats, weights)) continue;
      return wrong("packed weights of " + quoted(node.name), "others", "those of the node");
    }
    const PlanOp& op = plan.ops[extent.op];
    if (op.params->conv.algorithm == ConvAlgorithm::int8) {
      if (same_int8(plan, op, node, weights, floats)) continue;
      return wrong("packed weights of " + quoted(node.name), "others", "those of the node");
    }
    uint64_t expected = 0;
    const Dtype dtype = plan.backend->kernels->dtype;
    if (!folded_sum(node, op.params->conv, dtype, weights, expected)) {
      return wrong("weights of " + quoted(node.name), "none, or others", "those of the node");
    }
    const auto count = static_cast<size_t>(extent.hi - extent.lo) / sizeof(float);
    if (sum(floats, count, dtype) != expected) {
      return wrong("packed weights of " + quoted(node.name), "others", "those of the node");
    }
  }
  return {};
}

// Nothing but a convolution has packed weights on a device.
Status packed_nodes(const Plan& plan) {
  for (const PlanOp& op : plan.ops) {
    const Node& node = plan.graph.nodes()[static_cast<size_t>(op.node)];
    if ((is_conv(node.op) && !op.converts) || op.packed_offset == -1) continue;
    return wrong("packed weights of " + quoted(node.name), "some", "none");
  }
  return {};
}

}  // namespace

Status prove_packed(const Plan& plan, const WeightSource* weights) {
  const bool on_device = plan.backend->kernels == nullptr;
  if (on_device != (plan.device != nullptr)) {
    return wrong("tables for a device", on_device ? "none" : "some", on_device ? "some" : "none");
  }
  if (on_device) {
    PVNET_TRY(packed_nodes(plan));
    PVNET_TRY(device::check(plan, *plan.device));
    return weights == nullptr ? Status{} : device::check_weights(plan, *plan.device, *weights);
  }
  std::vector<Extent> extents;
  for (size_t i = 0; i < plan.ops.size(); ++i) {
    const int64_t lo = plan.ops[i].packed_offset;
    const Node& node = plan.graph.nodes()[static_cast<size_t>(plan.ops[i].node)];
    const bool packed = is_conv(node.op) || has_channel_weights(node.op);
    if (!packed || plan.ops[i].converts) {
      if (lo != -1) return wrong("packed weights of " + quoted(node.name), "some", "none");
      continue;
    }
    const size_t room = plan.packed.size();
    const size_t floats = is_conv(node.op)
                              ? plan.backend->kernels->conv_packed_floats(plan.ops[i].params->conv)
                              : static_cast<size_t>(node.shape.c) * (node.op == Op::prelu ? 1 : 2);
    const size_t bytes = floats * sizeof(float);
    if (lo < 0 || bytes > room || static_cast<size_t>(lo) > room - bytes || lo % 4 != 0) {
      return wrong("offset of the packed weights of " + quoted(node.name), std::to_string(lo),
                   "room in " + std::to_string(room) + " bytes");
    }
    extents.push_back({lo, lo + static_cast<int64_t>(bytes), i});
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.lo < b.lo; });
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].lo >= extents[i - 1].hi) continue;
    return wrong("packed weights of " + quoted(name_of(plan, extents[i].op)) + " and " +
                     quoted(name_of(plan, extents[i - 1].op)),
                 "an overlap", "none");
  }
  return weights == nullptr ? Status{} : content(plan, extents, *weights);
}

}  // namespace pvnet::proof
