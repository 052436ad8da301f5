// SPDX-License-Identifier: Apache-2.0
// Operations that read all segments of their operand at once: moves of values, and norms.
#include <algorithm>

#include "plan/op_params.hpp"
#include "runtime/cpu/execute.hpp"

namespace pvnet {
namespace {

MoveOp move_of(Op op) {
  switch (op) {
    case Op::channel_select:
      return MoveOp::select;
    case Op::depth_to_space:
      return MoveOp::depth_to_space;
    case Op::space_to_depth:
      return MoveOp::space_to_depth;
    default:
      return MoveOp::pad;
  }
}

struct Channels {
  int lo, hi;
};

// Channels of the segments, to where they lie in the output.
void copy(const HostKernels& kernels, const std::vector<SegmentView>& segments, size_t count,
          const MapView& out, Channels channels, int row_lo, int row_hi) {
  int c0 = 0;
  for (size_t s = 0; s < count; c0 += segments[s].g.c, ++s) {
    const int lo = std::max(c0, channels.lo);
    const int hi = std::min(c0 + segments[s].g.c, channels.hi);
    if (lo >= hi) continue;
    EltwiseArgs args;
    args.n = 1;
    args.g[0] = segments[s].g;
    args.data[0] = segments[s].taps[0];
    args.c0[0] = lo - c0;
    args.c = hi - lo;
    args.out = out;
    args.out_c0 = lo;
    kernels.eltwise(args, row_lo, row_hi);
  }
}

}  // namespace

void Executor::run_move(const PlanOp& op, const TileRange& range, RowMemory& row, int64_t tick,
                        const MapView& out) {
  bind(op, 0, row, tick);
  const Attrs& a = op.params->attrs;
  MoveArgs args;
  args.op = move_of(op.params->op);
  args.segs = segments_.data();
  args.n_segs = static_cast<int>(op.operands[0].size());
  args.out = out;
  args.top = a.padding[0], args.left = a.padding[1];
  args.mode = a.pad_mode;
  args.value = static_cast<float>(a.value);
  args.index = a.index.data();
  args.block = a.block;
  kernels_.move(args, range.lo, range.hi);
}

void Executor::run_norm(const PlanOp& op, const TileRange& range, RowMemory& row, int64_t tick,
                        const MapView& out) {
  bind(op, 0, row, tick);
  const Attrs& a = op.params->attrs;
  const size_t segments = op.operands[0].size();
  NormArgs args;
  args.out = out;
  args.eps = a.norm_eps;
  args.weight = reinterpret_cast<const float*>(plan_.packed.data() + op.packed_offset);
  args.bias = args.weight + out.g.c;
  args.act = a.act;
  args.numbers = numbers_of(a);
  if (op.params->op == Op::layer_norm) {
    copy(kernels_, segments_, segments, out, {0, out.g.c}, range.lo, range.hi);
    kernels_.layer_norm(args, range.lo, range.hi);
    return;
  }
  args.groups = a.groups;
  const int each = out.g.c / a.groups;
  copy(kernels_, segments_, segments, out, {range.lo * each, range.hi * each}, 0, out.g.h);
  kernels_.group_norm(args, range.lo, range.hi);
}

}  // namespace pvnet
