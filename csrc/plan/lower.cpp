// SPDX-License-Identifier: Apache-2.0
#include "plan/lower.hpp"

#include <algorithm>

#include "backends/kernel_api.hpp"
#include "plan/op_params.hpp"
#include "plan/resolve.hpp"

namespace pvnet {
namespace {

int64_t round_up(int64_t x, int64_t m) { return (x + m - 1) / m * m; }

// Wide maps get whole 16-float vectors per pixel, so that kernels store without masks; narrow ones
// (an RGB frame) stay dense, or the first layer would read five times the memory.
int64_t pixel_stride_of(int c) { return c < 8 ? c : round_up(c, 16); }

void set_geometry(Value& v) {
  v.pixel_stride = pixel_stride_of(v.shape.c);
  v.row_stride = (v.shape.w + 2 * v.halo_w) * v.pixel_stride;
  v.slot_stride = round_up((v.shape.h + 2 * v.halo_h) * v.row_stride, 16);
}

bool is_conv(Op op) { return op == Op::conv3d || op == Op::linear; }

std::shared_ptr<OpParams> make_params(const Graph& graph, const Node& node) {
  auto p = std::make_shared<OpParams>();
  p->op = node.op;
  p->attrs = node.attrs;
  const auto per_channel = [&](float fallback, const std::vector<float>& given, int c) {
    return given.empty() ? std::vector<float>(c, fallback) : given;
  };
  if (node.op == Op::input || node.op == Op::normalize) {
    const int c = node.shape.c;
    const auto mean = per_channel(0.0f, node.attrs.mean, c);
    const auto std_dev = per_channel(1.0f, node.attrs.std, c);
    const double range = node.op == Op::input ? 255.0 : 1.0;  // uint8 frames become [0, 1] first
    for (int i = 0; i < c; ++i) {
      p->scale.push_back(static_cast<float>(1.0 / (range * std_dev[i])));
      p->shift.push_back(static_cast<float>(-static_cast<double>(mean[i]) / std_dev[i]));
    }
  }
  if (is_conv(node.op)) {
    const Shape in = graph.nodes()[node.inputs[0].src].shape;
    ConvShape& s = p->conv;
    s.in_h = in.h, s.in_w = in.w, s.in_c = in.c;
    s.out_h = node.shape.h, s.out_w = node.shape.w, s.out_c = node.shape.c;
    s.act = node.attrs.act;
    if (node.op == Op::linear) {  // a convolution whose kernel is the whole map
      s.kh = in.h, s.kw = in.w;
    } else {
      const Attrs& a = node.attrs;
      s.kt = a.kernel[0], s.kh = a.kernel[1], s.kw = a.kernel[2];
      s.sh = a.stride[1], s.sw = a.stride[2];
      s.ph = a.padding[0], s.pw = a.padding[1];
      s.dh = a.dilation[1], s.dw = a.dilation[2];
      s.groups = a.groups;
    }
  }
  return p;
}

int taps_of(const Node& node) {
  switch (node.op) {
    case Op::conv3d:
    case Op::max_pool:
    case Op::avg_pool:
      return node.attrs.kernel[0];
    case Op::global_pool:
      return node.attrs.window;
    default:
      return 1;
  }
}

Status refuse_fused_softmax(const Node& node) {
  if (node.attrs.act != Act::softmax || node.op == Op::act) return {};
  return {Code::unsupported, "[compile] node '" + node.name +
                                 "' has a fused softmax: got act=\"softmax\", expected none, relu, "
                                 "silu or sigmoid. Do add a separate act(x, \"softmax\") node."};
}

}  // namespace

Status lower(Plan& plan) {
  const Graph& graph = plan.graph;
  const auto& nodes = graph.nodes();
  std::vector<int> value_of(nodes.size(), -1);
  const std::vector<int> order = graph.topological_order();
  for (const int n : order) {
    const Node& node = nodes[n];
    if (is_virtual(node.op)) continue;
    Value v;
    v.node = n;
    v.shape = node.shape;
    v.clock = node.clock;
    value_of[n] = static_cast<int>(plan.values.size());
    plan.values.push_back(v);
  }
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (nodes[n].op != Op::input) continue;
    const auto params = make_params(graph, nodes[n]);
    plan.input_values.push_back(value_of[n]);
    plan.input_scale.push_back(params->scale);
    plan.input_shift.push_back(params->shift);
  }

  // Sequential wiring leaves delay-0 edges between stages: then all stages form one group.
  const bool parallel = graph.wiring() != Wiring::sequential;
  std::vector<int> level_of_node(nodes.size(), -1);
  for (const int n : order) {
    const Node& node = nodes[n];
    // Virtual nodes carry the level of what they pass on within the tick.
    int level = is_virtual(node.op) || node.op == Op::input ? -1 : 0;
    const int reach = is_virtual(node.op) ? 0 : 1;
    for (const Edge& e : node.inputs) {
      const bool same_tick = e.delay == 0 && !e.feedback;
      if (same_tick) level = std::max(level, level_of_node[e.src] + reach);
    }
    level_of_node[n] = level;
    if (is_virtual(node.op)) continue;
    if (node.op == Op::input) continue;
    PVNET_TRY(refuse_fused_softmax(node));

    PlanOp op;
    op.node = n;
    op.out_value = value_of[n];
    op.clock = node.clock;
    op.stage = node.stage;
    op.group = parallel ? node.stage : 0;
    op.level = level;
    op.taps = taps_of(node);
    op.dilation = node.op == Op::conv3d ? node.attrs.dilation[0] : 1;
    const auto measured = plan.options.costs.find(node.name);
    op.cost = measured != plan.options.costs.end() ? measured->second : node.cost;
    for (const Edge& e : node.inputs) {
      op.operands.push_back(segments_of(graph, e, value_of));
      plan.max_segments = std::max(plan.max_segments, static_cast<int>(op.operands.back().size()));
    }
    if (op.operands.size() > kMaxOperands) {
      return {Code::unsupported, "[compile] node '" + node.name + "' has too many inputs: got " +
                                     std::to_string(op.operands.size()) + ", expected at most " +
                                     std::to_string(kMaxOperands) +
                                     ". Do sum them in several nodes."};
    }
    auto params = make_params(graph, node);
    for (const Segment& s : op.operands[0]) params->seg_c.push_back(s.c);
    params->conv.seg_c = params->seg_c.data();
    params->conv.n_segs = static_cast<int>(params->seg_c.size());
    if (node.op == Op::conv3d) {
      for (const Segment& s : op.operands[0]) {
        Value& v = plan.values[s.value];
        v.halo_h = std::max(v.halo_h, node.attrs.padding[0]);
        v.halo_w = std::max(v.halo_w, node.attrs.padding[1]);
      }
    }
    op.params = std::move(params);
    plan.ops.push_back(std::move(op));
  }
  for (Value& v : plan.values) set_geometry(v);
  for (PlanOp& op : plan.ops) {
    op.tiles = is_conv(op.params->op)             ? plan.backend->conv_tiles(op.params->conv)
               : op.params->op == Op::global_pool ? 1
                                                  : plan.values[op.out_value].shape.h;
  }
  for (const Output& o : graph.outputs()) {
    OutputFacts f;
    f.name = o.name;
    f.shape = nodes[o.node].shape;
    f.source = segments_of(graph, Edge{o.node, graph.output_delay(o), false}, value_of);
    plan.outputs.push_back(std::move(f));
  }
  return {};
}

}  // namespace pvnet
