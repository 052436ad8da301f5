// SPDX-License-Identifier: Apache-2.0
#include "plan/quantization.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <optional>

#include "backends/int8.hpp"
#include "graph/errors.hpp"
#include "plan/op_params.hpp"

namespace pvnet {
namespace {

bool is_conv(const Node& n) { return n.op == Op::conv3d || n.op == Op::linear; }

// Softmax and norms work where their result lies, as floats.
bool stores_floats(const Node& n) {
  return is_map_norm(n.op) || (n.op == Op::act && n.attrs.act == Act::softmax);
}

bool moves_only(const Node& n) {
  switch (n.op) {
    case Op::max_pool:
    case Op::channel_select:
    case Op::depth_to_space:
    case Op::space_to_depth:
      return true;
    case Op::pad:
      return n.attrs.value == 0;
    case Op::upsample:
      return n.attrs.mode == Interp::nearest;
    default:
      return false;
  }
}

bool fits_int8(const Graph& graph, const Node& n) {
  const Shape& in = graph.nodes()[static_cast<size_t>(n.inputs[0].src)].shape;
  const Attrs& a = n.attrs;
  const Size taps =
      n.op == Op::linear ? Size(in.h) * in.w : Size(a.kernel[0]) * a.kernel[1] * a.kernel[2];
  return (taps * (in.c / a.groups)).at_most(kMaxInt8Products);
}

Status refuse(const std::string& what, const std::string& got, const std::string& expected,
              const char* cure) {
  return failed(Code::invalid_argument, "compile", what, got, expected, cure);
}

}  // namespace

Stored stored_for(ValueRange range) {
  const float low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f);
  const Dtype dtype = low < 0.0f ? Dtype::int8 : Dtype::uint8;
  const float scale = std::max(-low, high) / highest_step(dtype);
  return {dtype, std::max(scale, FLT_MIN)};
}

Status check_ranges(const Graph& graph, const CompileOptions& options) {
  const bool int8 = options.dtype == to_string(Dtype::int8);
  if (int8 && options.ranges.empty()) {
    return refuse("dtype int8 needs to know the ranges of maps", "no ranges",
                  "low and high of every node to be stored in 8 bits",
                  "Calibrate the model, and pass ranges=.");
  }
  if (!int8 && !options.ranges.empty()) {
    return refuse("ranges are for another dtype", quoted(options.dtype), "\"int8\"",
                  "Leave ranges out, or compile with dtype=\"int8\".");
  }
  for (const auto& [name, range] : options.ranges) {
    if (graph.find(name) < 0) {
      return refuse("range of a node that is not in the graph", quoted(name),
                    "the name of a node of the graph", "Correct the name, or calibrate again.");
    }
    if (std::isfinite(range.low) && std::isfinite(range.high) && range.low <= range.high) continue;
    return refuse("the range of node " + quoted(name) + " is none",
                  std::to_string(range.low) + " to " + std::to_string(range.high),
                  "two finite numbers, the lower one first", "Calibrate again.");
  }
  return {};
}

Quantization::Quantization(const Graph& graph, const CompileOptions& options)
    : active_(options.dtype == to_string(Dtype::int8)) {
  const auto& nodes = graph.nodes();
  of_.resize(nodes.size());
  if (!active_) return;
  seen_.assign(nodes.size(), 0);
  std::vector<bool> is_read(nodes.size(), false);
  ++walk_;
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (is_virtual(nodes[n].op)) continue;
    for_sources(graph, static_cast<int>(n), [&](int source) { is_read[source] = true; });
  }
  for (size_t n = 0; n < nodes.size(); ++n) {
    const auto range = options.ranges.find(nodes[n].name);
    if (is_virtual(nodes[n].op) || !is_read[n] || range == options.ranges.end()) continue;
    of_[n].range = stored_for(range->second);
  }
  find_convolutions(graph);
  for (size_t n = 0; n < nodes.size(); ++n) {
    Of& of = of_[n];
    const bool floats = stores_floats(nodes[n]) || (is_conv(nodes[n]) && !of.int8);
    of.computed = floats ? Stored{} : of.range;
    of.convolves = is_conv(nodes[n]);
    of.moves_only = moves_only(nodes[n]);
  }
  keep_scales(graph);
}

// Nodes seen in the same walk_ are not gone through again.
template <class F>
void Quantization::for_sources(const Graph& graph, int from, const F& f) {
  const auto& nodes = graph.nodes();
  std::vector<int> way = {from};
  while (!way.empty()) {
    const int n = way.back();
    way.pop_back();
    for (const Edge& e : nodes[static_cast<size_t>(n)].inputs) {
      const auto src = static_cast<size_t>(e.src);
      if (!is_virtual(nodes[src].op)) {
        f(e.src);
      } else if (seen_[src] != walk_) {
        seen_[src] = walk_;
        way.push_back(e.src);
      }
    }
  }
}

// A frame is stored once, as all convolutions that read it can take it.
void Quantization::find_convolutions(const Graph& graph) {
  const auto& nodes = graph.nodes();
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t n = 0; n < nodes.size(); ++n) {
      if (!is_conv(nodes[n])) continue;
      of_[n].int8 = fits_int8(graph, nodes[n]);
      ++walk_;
      for_sources(graph, static_cast<int>(n), [&](int source) {
        if (!is_8_bit(at(source).range.dtype)) of_[n].int8 = false;
      });
    }
    ++walk_;
    for (size_t n = 0; n < nodes.size(); ++n) {
      if (!is_conv(nodes[n]) || of_[n].int8) continue;
      for_sources(graph, static_cast<int>(n), [&](int source) {
        Stored& frame = of_[static_cast<size_t>(source)].range;
        if (nodes[static_cast<size_t>(source)].op != Op::input || frame == Stored{}) return;
        frame = {};
        changed = true;
      });
    }
  }
}

void Quantization::keep_scales(const Graph& graph) {
  const auto& nodes = graph.nodes();
  // What all that lies behind a node stores; nothing: different things, or not yet known.
  std::vector<std::optional<Stored>> common(nodes.size());
  for (const int n : graph.topological_order()) {
    const Node& node = nodes[static_cast<size_t>(n)];
    Of& of = of_[static_cast<size_t>(n)];
    std::optional<Stored> source;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const auto& next = common[static_cast<size_t>(node.inputs[i].src)];
      if (i == 0) source = next;
      if (source != next) source.reset();
    }
    if (is_virtual(node.op)) {
      common[static_cast<size_t>(n)] = source;
      continue;
    }
    const bool both = source.has_value() && is_8_bit(source->dtype) && is_8_bit(of.computed.dtype);
    if (of.moves_only && both) of.computed = *source;
    common[static_cast<size_t>(n)] = of.computed;
  }
}

Stored Quantization::read(int reader, int source) const {
  const Of& of = at(source);
  if (at(reader).int8) return is_8_bit(of.computed.dtype) ? of.computed : of.range;
  return at(reader).convolves ? Stored{} : of.computed;
}

}  // namespace pvnet
