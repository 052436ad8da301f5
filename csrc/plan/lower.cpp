// SPDX-License-Identifier: Apache-2.0
#include "plan/lower.hpp"

#include <algorithm>

#include "backends/backend.hpp"
#include "backends/kernel_api.hpp"
#include "graph/errors.hpp"
#include "graph/limits.hpp"
#include "plan/further_forms.hpp"
#include "plan/op_params.hpp"
#include "plan/options.hpp"
#include "plan/quantization.hpp"
#include "plan/resolve.hpp"
#include "plan/sums.hpp"

namespace pvnet {
namespace {

// Maps of few channels that only convolutions read which can have them so.
std::vector<bool> narrow_values(const Plan& plan) {
  const auto reads_narrow = plan.backend->layout.reads_narrow;
  std::vector<bool> narrow(plan.values.size(), false), other(plan.values.size(), false);
  if (reads_narrow == nullptr) return narrow;
  for (const PlanOp& op : plan.ops) {
    bool fits = op.params->op == Op::conv3d || op.params->op == Op::linear;
    for (const int c : op.params->seg_c) fits = fits && c <= kNarrowChannels;
    fits = fits && reads_narrow(op.params->conv, plan.values[op.out_value].dtype);
    for (const auto& operand : op.operands) {
      for (const Segment& s : operand) (fits ? narrow : other)[s.value] = true;
    }
  }
  for (size_t v = 0; v < narrow.size(); ++v) narrow[v] = narrow[v] && !other[v];
  return narrow;
}

Status set_geometry(const Graph& graph, const Layout& layout, bool narrow, Value& v) {
  const Size rows = v.shape.h + 2 * Size(v.halo_h), columns = v.shape.w + 2 * Size(v.halo_w);
  const Size pixel = narrow ? Size(kNarrowChannels) : layout.pixel_elements(v.shape.c, v.dtype);
  const Size row = columns * pixel;
  const Size slot = (rows * row * element_bytes(v.dtype)).rounded_up(layout.slot_granule);
  const Size elements = rows * columns * v.shape.c;
  if (!elements.at_most(kMaxElements) || !slot.at_most(kMaxBytes)) {
    return failed(Code::graph, "compile",
                  "the map of node " + quoted(graph.nodes()[v.node].name) +
                      " is too large with the padding of all that read it",
                  elements.text() + " values", "at most " + std::to_string(kMaxElements),
                  "Use less padding or a smaller map.");
  }
  v.pixel_stride = pixel.value();
  v.row_stride = row.value();
  v.slot_bytes = slot.value();
  return {};
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
    s.numbers = numbers_of(node.attrs);
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
  if (node.op == Op::group_norm) p->conv.groups = node.attrs.groups;  // its tiles
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
                                 "' has a fused softmax: got act=\"softmax\", expected any other. "
                                 "Add a separate act(x, \"softmax\") node."};
}

// A convolution that adds what else the node `add` reads, and has its activation.
void end_in_sum(const Node& add, ConvShape& conv) {
  conv.residual = true;
  conv.act = add.attrs.act;
  conv.numbers = numbers_of(add.attrs);
}

// Measured, or else estimated.
double cost_of(const Plan& plan, const PlanOp& op, const ConvShape& conv) {
  const auto& nodes = plan.graph.nodes();
  const auto& costs = plan.options.costs;
  const auto measured = costs.find(nodes[op.node].name);
  if (measured != costs.end()) {
    const auto add = op.sum < 0 ? costs.end() : costs.find(nodes[op.sum].name);
    return measured->second + (add == costs.end() ? 0 : add->second);
  }
  return plan.backend->layout.cost(plan.backend->kernels, nodes, op.node, conv);
}

Status choose_algorithm_of(const Plan& plan, const PlanOp& op, bool int8, ConvShape& shape) {
  const HostKernels* kernels = plan.backend->kernels;
  const Node& node = plan.graph.nodes()[op.node];
  shape.algorithm = algorithm_for(plan.options, kernels, shape, node.name, int8);
  if (!is_possible(kernels, shape, shape.algorithm)) {
    return failed(Code::invalid_argument, "compile",
                  "node " + quoted(node.name) + " cannot be computed so",
                  "\"" + std::string(to_string(shape.algorithm)) + "\"",
                  "an algorithm that Plan.ops lists for it", "Leave it out, or take \"direct\".");
  }
  return {};
}

// Looked at before segments are made: concats of concats double them at every step.
class SegmentBudget {
 public:
  // Hops are as few as can say the same; only many clocks in a row leave more than a device's
  // table.
  static Status check_hops(const std::string& who, const std::vector<Segment>& segments) {
    for (const Segment& s : segments) {
      if (s.hops.size() <= kMaxHops) continue;
      return failed(Code::unsupported, "compile", who + " reads through too many clocks and delays",
                    std::to_string(s.hops.size()) + " hops", "at most " + std::to_string(kMaxHops),
                    "Put an operation between the concats and delays of different clocks.");
    }
    return {};
  }

  Status take(const std::string& who, Size segments, int64_t taps, int64_t kernel) {
    if (!segments.at_most(kMaxSegments)) {
      return refuse(who + " reads too many values through its concats", segments.text(),
                    kMaxSegments);
    }
    if (!(segments * taps).at_most(kMaxReads)) {
      return refuse(who + " reads too many firings", (segments * taps).text(), kMaxReads);
    }
    if (!(segments * taps * kernel).at_most(kMaxElements)) {
      return refuse(who + " has too many pieces of kernel", (segments * taps * kernel).text(),
                    kMaxElements);
    }
    all_ += segments;
    if (all_.at_most(kMaxAllSegments)) return {};
    return refuse("the operations read too many values through concats, up to " + who, all_.text(),
                  kMaxAllSegments);
  }

 private:
  Size all_;

  static Status refuse(const std::string& what, const std::string& got, int64_t most) {
    return failed(Code::graph, "compile", what, got, "at most " + std::to_string(most),
                  "Join fewer values, or put an operation between the concats.");
  }
};

}  // namespace

Status lower(Plan& plan) {
  const Graph& graph = plan.graph;
  const Layout& layout = plan.backend->layout;
  const auto& nodes = graph.nodes();
  const Dtype dtype = *std::find_if(layout.dtypes.begin(), layout.dtypes.end(), [&](Dtype d) {
    return to_string(d) == plan.options.dtype;
  });  // compile() has looked
  const Quantization quantization(graph, plan.options);
  std::vector<int> value_of(nodes.size(), -1);
  const std::vector<int> order = graph.topological_order();
  const Sums sums = find_sums(graph, layout, quantization, order);
  for (const int n : order) {
    const Node& node = nodes[n];
    if (is_virtual(node.op) || sums.add_of[n] >= 0) continue;
    Value v;
    v.node = n;
    v.shape = node.shape;
    v.clock = node.clock;
    v.dtype = dtype;
    if (quantization.active()) {
      v.dtype = quantization.computed(n).dtype;
      v.scale = quantization.computed(n).scale;
    }
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

  const Reads reads(graph, value_of);
  SegmentBudget budget;
  FurtherForms forms(plan, quantization);

  // Sequential wiring leaves delay-0 edges between stages: then all stages form one group.
  const bool parallel = graph.wiring() != Wiring::sequential;
  std::vector<int> level_of_node(nodes.size(), -1);
  for (const int n : order) {
    if (sums.add_of[n] >= 0) continue;  // its op comes in the place of the add
    const bool is_sum = sums.conv_of[n] >= 0;
    const int computed = is_sum ? sums.conv_of[n] : n;
    const Node& node = nodes[computed];
    // Virtual nodes carry the level of what they pass on within the tick.
    int& level = level_of_node[n];
    level = is_virtual(node.op) || node.op == Op::input ? -1 : 0;
    const auto follow = [&](const Edge& e, int levels) {
      const bool same_tick = e.delay == 0 && !e.feedback;
      if (same_tick) level = std::max(level, level_of_node[e.src] + levels);
    };
    if (is_virtual(node.op)) {
      for (const Edge& e : node.inputs) follow(e, 0);
      continue;
    }
    if (node.op == Op::input) continue;
    PVNET_TRY(refuse_fused_softmax(nodes[n]));

    PlanOp op;
    op.node = computed;
    op.sum = is_sum ? n : -1;
    op.out_value = value_of[n];
    op.clock = node.clock;
    op.stage = node.stage;
    op.group = parallel ? node.stage : 0;
    op.taps = taps_of(node);
    op.dilation = node.op == Op::conv3d ? node.attrs.dilation[0] : 1;
    if (node.inputs.size() > kMaxOperands) {
      return failed(Code::unsupported, "compile",
                    "node " + quoted(node.name) + " has too many inputs",
                    std::to_string(node.inputs.size()), "at most " + std::to_string(kMaxOperands),
                    "Sum them in several nodes.");
    }
    const int64_t kernel = int64_t{node.attrs.kernel[1]} * node.attrs.kernel[2];
    const auto read = [&](int reader, const Edge& e) -> Status {
      const std::string who = "node " + quoted(nodes[reader].name);
      PVNET_TRY(budget.take(who, reads.count(e), op.taps, kernel));
      op.operands.push_back(reads.segments(e));
      PVNET_TRY(SegmentBudget::check_hops(who, op.operands.back()));
      plan.max_segments = std::max(plan.max_segments, static_cast<int>(op.operands.back().size()));
      follow(e, forms.lead(reader, op.operands.back()) ? 2 : 1);
      return {};
    };
    for (const Edge& e : node.inputs) PVNET_TRY(read(computed, e));
    if (is_sum) PVNET_TRY(read(n, sums.residual(graph, n)));
    op.level = level;
    auto params = make_params(graph, node);
    if (is_sum) end_in_sum(nodes[n], params->conv);
    if (is_sum && quantization.active()) params->conv.alone = quantization.computed(computed);
    for (const Segment& s : op.operands[0]) params->seg_c.push_back(s.c);
    params->conv.seg_c = params->seg_c.data();
    params->conv.n_segs = static_cast<int>(params->seg_c.size());
    const bool int8 = quantization.is_int8(computed);
    if (node.op == Op::conv3d || int8) {
      PVNET_TRY(choose_algorithm_of(plan, op, int8, params->conv));
    }
    op.cost = cost_of(plan, op, params->conv);
    if (node.op == Op::conv3d && layout.halo) {
      for (const Segment& s : op.operands[0]) {
        Value& v = plan.values[s.value];
        const Attrs& a = node.attrs;
        v.halo_h = std::max({v.halo_h, a.padding[0], a.padding_end[0]});
        v.halo_w = std::max({v.halo_w, a.padding[1], a.padding_end[1]});
      }
    }
    op.params = std::move(params);
    plan.ops.push_back(std::move(op));
  }
  forms.append_ops(order);
  const std::vector<bool> narrow = narrow_values(plan);
  for (size_t v = 0; v < plan.values.size(); ++v) {
    PVNET_TRY(set_geometry(graph, layout, narrow[v], plan.values[v]));
  }
  for (PlanOp& op : plan.ops) {
    op.tiles = plan.backend->tiles(op.params->op, op.params->conv, plan.values[op.out_value].shape);
  }
  for (const Output& o : graph.outputs()) {
    OutputFacts f;
    f.name = o.name;
    f.shape = nodes[o.node].shape;
    const Edge edge{o.node, graph.output_delay(o), false};
    PVNET_TRY(budget.take("output " + quoted(o.name), reads.count(edge), 1, 1));
    f.source = reads.segments(edge);
    PVNET_TRY(SegmentBudget::check_hops("output " + quoted(o.name), f.source));
    plan.outputs.push_back(std::move(f));
  }
  return {};
}

}  // namespace pvnet
