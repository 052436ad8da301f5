// SPDX-License-Identifier: Apache-2.0
// Every field of a Plan, by structure: Fields<T>::names, and Fields<T>::tie(t), a tuple of
// references. A structured binding must name every member: a member that is added and not listed
// here does not compile.
#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <tuple>

#include "backends/kernel_api.hpp"
#include "plan/op_params.hpp"

#include "plan/plan.hpp"

namespace fields {

template <class T>
struct Fields;

template <class T>
concept Structure = requires(T& t) { Fields<T>::tie(t); };

#define PVNET_UNPACK(...) __VA_ARGS__
#define PVNET_FIELDS(Type, bound, ...)                                     \
  template <>                                                              \
  struct Fields<Type> {                                                    \
    static constexpr const char* names[] = {__VA_ARGS__};                  \
    static auto tie(Type& t) {                                             \
      auto& [PVNET_UNPACK bound] = t;                                      \
      auto all = std::tie bound;                                           \
      static_assert(std::size(names) == std::tuple_size_v<decltype(all)>); \
      return all;                                                          \
    }                                                                      \
  }

PVNET_FIELDS(pvnet::Shape, (c, h, w), "c", "h", "w");
PVNET_FIELDS(pvnet::Clock, (period, origin), "period", "origin");
PVNET_FIELDS(pvnet::Hop, (clock, delay), "clock", "delay");
PVNET_FIELDS(pvnet::Segment, (value, c, hops), "value", "c", "hops");
PVNET_FIELDS(pvnet::TileRange, (op, lo, hi), "op", "lo", "hi");
PVNET_FIELDS(pvnet::Superstep, (lanes), "lanes");
PVNET_FIELDS(pvnet::TickSchedule, (supersteps, solo), "supersteps", "solo");

PVNET_FIELDS(pvnet::CompileOptions,
             (backend, isa, dtype, lanes, batch, pin, fixed_lanes, costs, executor, algorithm,
              algorithms, memory, ranges),
             "backend", "isa", "dtype", "lanes", "batch", "pin", "fixed_lanes", "costs", "executor",
             "algorithm", "algorithms", "memory", "ranges");

PVNET_FIELDS(pvnet::Value,
             (node, shape, halo_h, halo_w, pixel_stride, row_stride, slot_bytes, depth, persistent,
              offset, clock, dtype, domain, scale),
             "node", "shape", "halo_h", "halo_w", "pixel_stride", "row_stride", "slot_bytes",
             "depth", "persistent", "offset", "clock", "dtype", "domain", "scale");

PVNET_FIELDS(pvnet::Attrs,
             (channels, height, width, out, kernel, stride, dilation, padding, padding_end, groups,
              bias, norm, norm_eps, act, act_low, act_high, act_slope, count_include_pad, window,
              size, mode, ticks, phase, mean, std, pad_mode, value, index, block, align_corners),
             "channels", "height", "width", "out", "kernel", "stride", "dilation", "padding",
             "padding_end", "groups", "bias", "norm", "norm_eps", "act", "act_low", "act_high",
             "act_slope", "count_include_pad", "window", "size", "mode", "ticks", "phase", "mean",
             "std", "pad_mode", "value", "index", "block", "align_corners");

PVNET_FIELDS(pvnet::ActNumbers, (a, b), "a", "b");

PVNET_FIELDS(pvnet::Stored, (dtype, scale), "dtype", "scale");

PVNET_FIELDS(pvnet::ConvShape,
             (in_h, in_w, in_c, out_h, out_w, out_c, kt, kh, kw, sh, sw, ph, pw, dh, dw, groups,
              act, seg_c, n_segs, numbers, algorithm, residual, alone),
             "in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kt", "kh", "kw", "sh", "sw", "ph",
             "pw", "dh", "dw", "groups", "act", "seg_c", "n_segs", "numbers", "algorithm",
             "residual", "alone");

PVNET_FIELDS(pvnet::OpParams, (op, attrs, conv, seg_c, scale, shift), "op", "attrs", "conv",
             "seg_c", "scale", "shift");

PVNET_FIELDS(pvnet::PlanOp,
             (node, out_value, converts, sum, clock, stage, group, level, tiles, taps, dilation,
              cost, reading, operands, packed_offset, params),
             "node", "out_value", "converts", "sum", "clock", "stage", "group", "level", "tiles",
             "taps", "dilation", "cost", "reading", "operands", "packed_offset", "params");

PVNET_FIELDS(pvnet::OutputFacts,
             (name, shape, information_latency_ticks, warm_up_ticks, receptive_field_frames,
              age_ticks, source),
             "name", "shape", "information_latency_ticks", "warm_up_ticks",
             "receptive_field_frames", "age_ticks", "source");

PVNET_FIELDS(pvnet::Plan,
             (graph, options, backend, values, ops, input_values, input_scale, input_shift, outputs,
              hyper_period, settle_ticks, schedule, packed, state_bytes, scratch_bytes, lane_bytes,
              device, fingerprint, max_segments),
             "graph", "options", "backend", "values", "ops", "input_values", "input_scale",
             "input_shift", "outputs", "hyper_period", "settle_ticks", "schedule", "packed",
             "state_bytes", "scratch_bytes", "lane_bytes", "device", "fingerprint", "max_segments");

// A copy with nothing shared: parameters that may be changed, packed weights.
inline void copy(const pvnet::Plan& from, pvnet::Plan& to) {
  const auto bytes = [](const pvnet::AlignedBytes& f) {
    pvnet::AlignedBytes c(f.size());
    std::copy_n(f.data(), f.size(), c.data());
    return c;
  };
  to.packed = bytes(from.packed);
  auto source = Fields<pvnet::Plan>::tie(const_cast<pvnet::Plan&>(from));
  auto target = Fields<pvnet::Plan>::tie(to);
  const auto each = [&]<size_t... I>(std::index_sequence<I...>) {
    const auto one = [](auto& a, auto& b) {
      if constexpr (!std::is_same_v<std::decay_t<decltype(a)>, pvnet::AlignedBytes>) a = b;
    };
    (one(std::get<I>(target), std::get<I>(source)), ...);
  };
  each(std::make_index_sequence<std::tuple_size_v<decltype(source)>>{});
  for (pvnet::PlanOp& op : to.ops) {
    auto p = std::make_shared<pvnet::OpParams>();
    p->op = op.params->op, p->attrs = op.params->attrs, p->conv = op.params->conv;
    p->seg_c = op.params->seg_c, p->scale = op.params->scale, p->shift = op.params->shift;
    p->conv.seg_c = p->seg_c.data();
    op.params = std::move(p);
  }
}

// Parameters of a plan that copy() has made.
inline pvnet::OpParams& params_of(pvnet::PlanOp& op) {
  return const_cast<pvnet::OpParams&>(*op.params);
}

}  // namespace fields
