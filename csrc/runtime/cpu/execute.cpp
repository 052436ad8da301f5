// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/execute.hpp"

#include <algorithm>
#include <cstring>

#include "graph/firing.hpp"
#include "plan/layout.hpp"
#include "plan/op_params.hpp"

namespace pvnet {
namespace {

// Scratch is shared by values of different shapes, so a halo must be made zero each time.
void zero_halo(const Value& v, const MapView& out) {
  if (v.halo_h == 0 && v.halo_w == 0) return;
  const int64_t element = element_bytes(v.dtype);
  auto* const origin = reinterpret_cast<std::byte*>(out.data) - interior(v) * element;
  const int64_t row_bytes = v.row_stride * element, pixel_bytes = v.pixel_stride * element;
  const auto side_bytes = static_cast<size_t>(v.halo_w * pixel_bytes);
  for (int y = 0; y < v.shape.h + 2 * v.halo_h; ++y) {
    std::byte* const row = origin + y * row_bytes;
    if (y < v.halo_h || y >= v.halo_h + v.shape.h) {
      std::memset(row, 0, static_cast<size_t>(row_bytes));
    } else {
      std::memset(row, 0, side_bytes);
      std::memset(row + (v.halo_w + v.shape.w) * pixel_bytes, 0, side_bytes);
    }
  }
}

PoolArgs pool_args(const OpParams& p, const SegmentView& seg, const MapView& out, int out_c0) {
  const Attrs& a = p.attrs;
  PoolArgs args;
  args.is_max = p.op == Op::max_pool;
  args.count_include_pad = a.count_include_pad;
  args.kt = a.kernel[0], args.kh = a.kernel[1], args.kw = a.kernel[2];
  args.sh = a.stride[1], args.sw = a.stride[2];
  args.ph = a.padding[0], args.pw = a.padding[1];
  args.seg = seg;
  args.out = out;
  args.out_c0 = out_c0;
  return args;
}

EltOp elt_op(Op op) {
  switch (op) {
    case Op::add:
      return EltOp::add;
    case Op::mul:
      return EltOp::mul;
    case Op::sub:
      return EltOp::sub;
    case Op::div:
      return EltOp::div;
    case Op::scale:
      return EltOp::scale;
    case Op::prelu:
      return EltOp::prelu;
    default:
      return EltOp::copy;
  }
}

}  // namespace

MapGeometry geometry_of(const Value& v) {
  return {v.shape.h,      v.shape.w,    v.shape.c, v.halo_h, v.halo_w,
          v.pixel_stride, v.row_stride, v.dtype,   v.scale};
}

Executor::Executor(const Plan& plan)
    : plan_(plan),
      kernels_(*plan.backend->kernels),
      scratch_(static_cast<size_t>(plan.lane_bytes)) {
  segments_.resize(static_cast<size_t>(plan.max_segments));
  taps_.resize(static_cast<size_t>(most_reads(plan)));
}

void Executor::bind(const PlanOp& op, size_t operand, const RowMemory& row, int64_t tick) {
  const auto& segments = op.operands[operand];
  for (size_t s = 0; s < segments.size(); ++s) {
    const Value& v = plan_.values[segments[s].value];
    const float** taps = taps_.data() + s * op.taps;
    for (int j = 0; j < op.taps; ++j) {
      const int64_t back = int64_t{op.taps - 1 - j} * op.dilation;
      const int64_t firing = resolve_firing(segments[s], tick, back);
      taps[j] = firing < 0 ? nullptr : row.at(v, firing);
    }
    segments_[s] = {geometry_of(v), taps};
  }
}

void Executor::run(const TileRange& range, RowMemory& row, int64_t tick) {
  const PlanOp& op = plan_.ops[range.op];
  if (!is_due(op.clock, tick)) return;  // before its origin
  const Value& v = plan_.values[op.out_value];
  const MapView out{geometry_of(v), row.at(v, firing_at(op.clock, tick, 0))};
  if (!v.persistent && range.lo == 0) zero_halo(v, out);
  switch (op.params->op) {
    case Op::conv3d:
    case Op::linear: {
      bind(op, 0, row, tick);
      const ConvArgs args{&op.params->conv, segments_.data(),
                          reinterpret_cast<const float*>(plan_.packed.data() + op.packed_offset),
                          out, scratch_.floats()};
      kernels_.conv(args, range.lo, range.hi);
      break;
    }
    case Op::add:
    case Op::mul:
    case Op::sub:
    case Op::div:
    case Op::scale:
    case Op::prelu:
    case Op::act:
      run_eltwise(op, range, row, tick, out);
      break;
    case Op::pad:
    case Op::channel_select:
    case Op::depth_to_space:
    case Op::space_to_depth:
      run_move(op, range, row, tick, out);
      break;
    case Op::group_norm:
    case Op::layer_norm:
      run_norm(op, range, row, tick, out);
      break;
    default:
      run_per_segment(op, range, row, tick, out);
  }
}

void Executor::run_per_segment(const PlanOp& op, const TileRange& range, RowMemory& row,
                               int64_t tick, const MapView& out) {
  const OpParams& p = *op.params;
  bind(op, 0, row, tick);
  int c0 = 0;
  for (size_t s = 0; s < op.operands[0].size(); ++s) {
    const SegmentView& seg = segments_[s];
    const float* newest = seg.taps[op.taps - 1];
    switch (p.op) {
      case Op::max_pool:
      case Op::avg_pool:
        kernels_.pool(pool_args(p, seg, out, c0), range.lo, range.hi);
        break;
      case Op::global_pool:
        kernels_.global_pool({op.taps, seg, out, c0});
        break;
      case Op::upsample:
        kernels_.upsample({p.attrs.mode, seg.g, newest, out, c0, p.attrs.align_corners}, range.lo,
                          range.hi);
        break;
      case Op::normalize:
        kernels_.affine({seg.g, newest, p.scale.data() + c0, p.shift.data() + c0, out, c0},
                        range.lo, range.hi);
        break;
      default:
        break;  // lower() makes no other op
    }
    c0 += seg.g.c;
  }
}

void Executor::run_eltwise(const PlanOp& op, const TileRange& range, RowMemory& row, int64_t tick,
                           const MapView& out) {
  const OpParams& p = *op.params;
  const bool softmax = p.attrs.act == Act::softmax;
  EltwiseArgs args;
  args.op = elt_op(p.op);
  args.act = softmax ? Act::none : p.attrs.act;
  args.numbers = numbers_of(p.attrs);
  const int maps = static_cast<int>(op.operands.size());
  args.n = maps;
  // Weights of channels are maps of one pixel.
  for (int64_t at = 0; at < channel_floats(p.op, out.g.c); at += out.g.c) {
    args.g[args.n] = {1, 1, out.g.c, 0, 0, out.g.c, out.g.c};
    args.data[args.n++] =
        reinterpret_cast<const float*>(plan_.packed.data() + op.packed_offset) + at;
  }
  args.out = out;
  // Operands may be cut into segments at different channels: walk over the common refinement.
  size_t segment[kMaxOperands] = {};
  int used[kMaxOperands] = {};  // channels of that segment already done
  for (int c0 = 0; c0 < out.g.c; c0 += args.c) {
    args.c = out.g.c - c0;
    for (int i = 0; i < maps; ++i) {
      const auto& segments = op.operands[i];
      if (segments.size() == 1 && segments[0].c == 1 && out.g.c > 1) continue;  // broadcast
      args.c = std::min(args.c, segments[segment[i]].c - used[i]);
    }
    for (int i = maps; i < args.n; ++i) args.c0[i] = c0;
    for (int i = 0; i < maps; ++i) {
      const Segment& s = op.operands[i][segment[i]];
      const Value& v = plan_.values[s.value];
      const int64_t firing = resolve_firing(s, tick, 0);
      args.g[i] = geometry_of(v);
      args.data[i] = firing < 0 ? nullptr : row.at(v, firing);
      const bool broadcast = op.operands[i].size() == 1 && s.c == 1 && out.g.c > 1;
      args.c0[i] = broadcast ? 0 : used[i];
      if (broadcast) continue;
      // One channel of many must not look like a broadcast to the kernel; with c == 1 it cannot.
      used[i] += args.c;
      if (used[i] == s.c) used[i] = 0, ++segment[i];
    }
    args.out_c0 = c0;
    kernels_.eltwise(args, range.lo, range.hi);
  }
  if (softmax) kernels_.softmax({out}, range.lo, range.hi);
}

}  // namespace pvnet
