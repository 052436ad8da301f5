// SPDX-License-Identifier: Apache-2.0
#include "plan/device/op_tables.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "backends/backend.hpp"
#include "graph/errors.hpp"
#include "graph/limits.hpp"
#include "plan/device/conv_tile.hpp"
#include "plan/device/limits.hpp"
#include "plan/device/op_tile.hpp"
#include "plan/op_params.hpp"

namespace pvnet::device {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();

int act_of(Act act) {
  switch (act) {
    case Act::relu:
      return PV_RELU;
    case Act::silu:
      return PV_SILU;
    case Act::sigmoid:
      return PV_SIGMOID;
    case Act::clamp:
      return PV_CLAMP;
    default:
      return PV_NONE;  // softmax is a kind of its own
  }
}

struct KindOf {
  int kind, variant;
};
KindOf kind_of(const OpParams& p) {
  switch (p.op) {
    case Op::max_pool:
      return {PV_POOL, PV_MAX};
    case Op::avg_pool:
      return {PV_POOL, p.attrs.count_include_pad ? PV_MEAN : PV_MEAN_INSIDE};
    case Op::global_pool:
      return {PV_GLOBAL_POOL, 0};
    case Op::add:
      return {PV_ELTWISE, PV_ADD};
    case Op::mul:
      return {PV_ELTWISE, PV_MUL};
    case Op::act:
      if (p.attrs.act == Act::softmax) return {PV_SOFTMAX, 0};
      return {PV_ELTWISE, PV_COPY};
    case Op::upsample:
      return {PV_UPSAMPLE, p.attrs.mode == Interp::nearest ? PV_NEAREST : PV_BILINEAR};
    case Op::normalize:
      return {PV_NORMALIZE, 0};
    default:
      return {PV_CONV, 0};
  }
}

bool is_depthwise(const ConvShape& c) {
  return c.groups > 1 && c.groups == c.in_c && c.groups == c.out_c;
}

// Of a pixel in shared memory where the window's row is folded into k; 0: it is not.
int narrow_bytes(const Plan& plan, const PlanOp& op, Dtype dtype) {
  const auto reads_narrow = plan.backend->layout.reads_narrow;
  const auto& seg_c = op.params->seg_c;
  const bool few =
      std::all_of(seg_c.begin(), seg_c.end(), [](int c) { return c <= kNarrowChannels; });
  if (!few || reads_narrow == nullptr || !reads_narrow(op.params->conv, dtype)) return 0;
  return kNarrowChannels * static_cast<int>(element_bytes(dtype));
}

}  // namespace

Dtype dtype_of(const Plan& plan) {
  for (const Dtype d : plan.backend->layout.dtypes) {
    if (to_string(d) == plan.options.dtype) return d;
  }
  return Dtype::f32;  // compile() refuses others
}

int64_t tiles_of(const pv_op& op) { return rectangles(op) * channel_blocks(op) * op.splits; }

Size weight_bytes(const pv_op& op, Dtype dtype) {
  const Size window = Size(op.kt) * op.kh * op.kw;
  if (op.kind == PV_DEPTHWISE)
    return window * Size(op.out_c).rounded_up(8) * int64_t{sizeof(float)};
  if (op.kind != PV_CONV) return 0;
  if (op.plain != 0) return window * op.out_c * (op.in_c / op.groups) * element_bytes(dtype);
  return Size(channel_blocks(op)) * op.n_patches * op.steps_per_patch * (PV_TILE_N * PV_K_BYTES);
}

OpTables::OpTables(const Plan& plan, const ProgramOptions& options, Tables& tables,
                   Program& program)
    : plan_(plan),
      plain_(options.plain),
      dtype_(dtype_of(plan)),
      tables_(tables),
      program_(program) {}

Status OpTables::add(int plan_op) {
  const Op op = plan_.ops[static_cast<size_t>(plan_op)].params->op;
  return op == Op::conv3d || op == Op::linear ? add_conv(plan_op) : add_map(plan_op);
}

// What is the same for every kind.
pv_op OpTables::start(const PlanOp& op) const {
  const Value& out = plan_.values[static_cast<size_t>(op.out_value)];
  pv_op d = {};
  d.plain = plain_ ? 1 : 0;
  d.in_c = d.out_c = out.shape.c;
  d.in_h = d.out_h = out.shape.h;
  d.in_w = d.out_w = out.shape.w;
  d.kt = op.taps;
  d.kh = d.kw = d.sh = d.sw = d.dh = d.dw = d.groups = d.splits = 1;
  d.out_value = op.out_value;
  d.act = act_of(op.params->attrs.act);
  const ActNumbers numbers = numbers_of(op.params->attrs);
  d.act_a = numbers.a, d.act_b = numbers.b;
  return d;
}

Status OpTables::add_map(int plan_op) {
  const PlanOp& of = plan_.ops[static_cast<size_t>(plan_op)];
  const OpParams& p = *of.params;
  pv_op op = start(of);
  op.kind = kind_of(p).kind;
  op.variant = kind_of(p).variant;
  if (op.kind == PV_ELTWISE) {
    std::tie(op.piece0, op.n_pieces) = tables_.eltwise_pieces(of, op.out_c);
  } else {
    const Value& in = plan_.values[static_cast<size_t>(of.operands[0][0].value)];
    op.in_h = in.shape.h, op.in_w = in.shape.w;
    std::tie(op.piece0, op.n_pieces) =
        tables_.operand_pieces(of.operands[0], of.taps, of.dilation, 0, op.in_c);
  }
  if (op.kind == PV_POOL) {
    const Attrs& a = p.attrs;
    op.kh = a.kernel[1], op.kw = a.kernel[2];
    op.sh = a.stride[1], op.sw = a.stride[2];
    op.ph = a.padding[0], op.pw = a.padding[1];
  }
  if (op.kind == PV_NORMALIZE) {
    op.floats = static_cast<int64_t>(program_.floats.size());
    program_.floats.insert(program_.floats.end(), p.scale.begin(), p.scale.end());
    program_.floats.insert(program_.floats.end(), p.shift.begin(), p.shift.end());
  }
  cut_simple(op);
  return finish(plan_op, op);
}

bool OpTables::on_tensor_cores(const PlanOp& of, int group, int groups, pv_op& op) const {
  const int narrow = narrow_bytes(plan_, of, dtype_);
  const int element = static_cast<int>(element_bytes(dtype_));
  const int of_patch = narrow > 0 ? kNarrowChannels : PV_K_BYTES / element;
  op.in_c /= groups, op.out_c /= groups;
  op.out_c0 = group * op.out_c;
  op.groups = 1;
  int64_t patches = 0;
  bool aligned = true;
  for_segments(of.operands[0], group * op.in_c, (group + 1) * op.in_c,
               [&](const Segment&, int first, int channels) {
                 aligned = aligned && first * int64_t{element} % 16 == 0;
                 patches += ceil_div(channels, of_patch) * of.taps;
               });
  if (!aligned || patches > PV_MAX_PATCHES) return false;
  op.n_patches = static_cast<int>(patches);
  return cut_conv(op, narrow);
}

Status OpTables::add_conv(int plan_op) {
  const PlanOp& of = plan_.ops[static_cast<size_t>(plan_op)];
  const ConvShape& c = of.params->conv;
  pv_op whole = start(of);
  whole.kind = is_depthwise(c) ? PV_DEPTHWISE : PV_CONV;
  whole.in_c = c.in_c, whole.in_h = c.in_h, whole.in_w = c.in_w;
  whole.kh = c.kh, whole.kw = c.kw, whole.sh = c.sh, whole.sw = c.sw;
  whole.ph = c.ph, whole.pw = c.pw, whole.dh = c.dh, whole.dw = c.dw;
  std::vector<pv_op> parts;
  const bool try_cores = whole.kind == PV_CONV && !plain_ && c.groups <= kMaxGroupOps;
  for (int g = 0; try_cores && g < c.groups; ++g) {
    pv_op op = whole;
    if (!on_tensor_cores(of, g, c.groups, op)) break;
    parts.push_back(op);
  }
  if (parts.size() == static_cast<size_t>(c.groups)) {
    for (pv_op& op : parts) {
      const int group = op.out_c0 / op.out_c, lo = group * op.in_c;
      const bool folded = op.pixel_bytes != PV_K_BYTES;
      op.patch0 = tables_.patches(of, lo, lo + op.in_c, folded).first;
      std::tie(op.piece0, op.n_pieces) =
          tables_.operand_pieces(of.operands[0], of.taps, of.dilation, lo, lo + op.in_c);
      PVNET_TRY(finish(plan_op, op));
    }
    return {};
  }
  if (whole.kind == PV_CONV) whole.plain = 1, whole.groups = c.groups;
  std::tie(whole.piece0, whole.n_pieces) =
      tables_.operand_pieces(of.operands[0], of.taps, of.dilation, 0, c.in_c);
  cut_simple(whole);
  return finish(plan_op, whole);
}

// Room for weights, biases, sums of splits.
Status OpTables::finish(int plan_op, pv_op op) {
  const std::string name = quoted(
      plan_.graph.nodes()[static_cast<size_t>(plan_.ops[static_cast<size_t>(plan_op)].node)].name);
  op.write = tables_.write_of(op.out_value);
  if (op.kind == PV_CONV || op.kind == PV_DEPTHWISE) {
    op.weights = weights_.value() / 16;
    weights_ += weight_bytes(op, dtype_).rounded_up(plan_.backend->layout.slot_granule);
    if (!weights_.at_most(kMaxBytes)) {
      return failed(Code::graph, "compile", "the weights up to node " + name + " are too many",
                    weights_.text() + " bytes", "at most " + std::to_string(kMaxBytes),
                    "Use a narrower network.");
    }
    program_.floats.resize((program_.floats.size() + 1) / 2 * 2);
    op.floats = static_cast<int64_t>(program_.floats.size());
    program_.floats.resize(program_.floats.size() + static_cast<size_t>(op.out_c + op.out_c % 2));
  }
  if (op.splits > 1) {
    const Size tiles = Size(rectangles(op) * channel_blocks(op)) * plan_.options.batch;
    op.partial0 = static_cast<int32_t>(cells_.value());
    op.counter0 = static_cast<int32_t>(counters_.value());
    cells_ += tiles * op.splits;
    counters_ += tiles;
    if (!cells_.at_most(kMaxInt)) {
      return failed(
          Code::graph, "compile",
          "sums of parts of convolutions up to node " + name + " are too many for a device",
          cells_.text(), "at most " + std::to_string(kMaxInt), "Use a smaller batch.");
    }
    program_.partial_floats = (cells_ * (PV_TILE_M * PV_TILE_N)).value();
    program_.counters = counters_.value();
  }
  for (const size_t n :
       {program_.sources.size(), program_.pieces.size(), program_.patches.size()}) {
    if (static_cast<int64_t>(n) <= kMaxEntries) continue;
    return failed(Code::graph, "compile",
                  "the operations up to node " + name + " read too many pieces for a device",
                  std::to_string(n), "at most " + std::to_string(kMaxEntries),
                  "Use fewer concats, taps or windows.");
  }
  if (!Size(tiles_of(op)).at_most(kMaxTiles)) {
    return failed(Code::graph, "compile", "node " + name + " has too many tiles for a device",
                  std::to_string(tiles_of(op)), "at most " + std::to_string(kMaxTiles),
                  "Use a smaller map.");
  }
  program_.weight_bytes = weights_.value();
  program_.ops.push_back(op);
  program_.plan_op.push_back(plan_op);
  return {};
}

}  // namespace pvnet::device
