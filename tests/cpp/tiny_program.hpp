// SPDX-License-Identifier: Apache-2.0
// A Plan of sums as a device runs it, made by hand from one that `ref` runs: what the engine does
// can then be seen without anything else of the backend. Bits are those of `ref`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nets.hpp"

#include "plan/device/program.hpp"
#include "plan/op_params.hpp"
#include "plan/plan.hpp"

namespace tiny {

constexpr int64_t kFloat = sizeof(float);

inline pvnet_device_clock clock_of(const pvnet::Clock& clock) {
  return {clock.period, clock.origin};
}

class Builder {
 public:
  explicit Builder(const pvnet::Plan& plan) : plan_(plan) {
    p_.row_elements = (plan.state_bytes + plan.scratch_bytes) / kFloat;
    p_.state_elements = plan.state_bytes / kFloat;
    for (const pvnet::Value& v : plan.values) add_value(v);
    for (const int value : plan.input_values) {
      const pvnet::Value& v = plan.values[static_cast<size_t>(value)];
      p_.inputs.push_back({value, add_own_segment(value), static_cast<int64_t>(p_.floats.size())});
      p_.floats.insert(p_.floats.end(), static_cast<size_t>(v.shape.c), 1.0F);
      p_.floats.insert(p_.floats.end(), static_cast<size_t>(v.shape.c), 0.0F);
    }
    for (size_t i = 0; i < plan.ops.size(); ++i) add_op(static_cast<int>(i));
    for (const pvnet::OutputFacts& o : plan.outputs) add_output(o);
  }
  std::shared_ptr<const pvnet::device::Program> take() {
    return std::make_shared<pvnet::device::Program>(std::move(p_));
  }

 private:
  void add_value(const pvnet::Value& v) {
    pvnet_device_value d = {};
    d.offset = v.offset / kFloat + (v.persistent ? 0 : p_.state_elements);
    d.slot_stride = v.slot_bytes / kFloat;
    d.row_stride = v.row_stride;
    d.pixel_stride = v.pixel_stride;
    d.clock = clock_of(v.clock);
    d.c = v.shape.c, d.h = v.shape.h, d.w = v.shape.w;
    d.halo_h = v.halo_h, d.halo_w = v.halo_w;
    d.depth = v.depth;
    d.persistent = v.persistent ? 1 : 0;
    p_.values.push_back(d);
  }
  int add_segment(const pvnet::Segment& s) {
    pvnet_device_segment d = {};
    d.value = s.value;
    d.channels = s.c;
    for (const pvnet::Hop& hop : s.hops) d.hops[d.n_hops++] = {clock_of(hop.clock), hop.delay};
    p_.segments.push_back(d);
    return static_cast<int>(p_.segments.size()) - 1;
  }
  int add_own_segment(int value) {
    const pvnet::Value& v = plan_.values[static_cast<size_t>(value)];
    return add_segment({value, v.shape.c, {{v.clock, 0}}});
  }
  int add_read(int segment, int taps_back) {
    p_.reads.push_back({segment, taps_back});
    return static_cast<int>(p_.reads.size()) - 1;
  }
  pv_source source_of(const pvnet::Segment& s) {
    return {add_read(add_segment(s), 0), s.value, 0, 1};
  }

  void add_op(int index) {
    const pvnet::PlanOp& from = plan_.ops[static_cast<size_t>(index)];
    const pvnet::Value& v = plan_.values[static_cast<size_t>(from.out_value)];
    pv_op op = {};
    op.kind = PV_ELTWISE;
    op.plain = 1;
    op.variant = from.operands.size() == 1 ? PV_COPY : PV_ADD;
    op.act = static_cast<int>(from.params->attrs.act);
    op.in_c = op.out_c = v.shape.c;
    op.in_h = op.out_h = v.shape.h;
    op.in_w = op.out_w = v.shape.w;
    op.kt = op.kh = op.kw = op.sh = op.sw = op.dh = op.dw = op.groups = op.splits = 1;
    op.write = add_read(add_own_segment(from.out_value), PV_WRITE);
    op.out_value = from.out_value;
    op.piece0 = static_cast<int>(p_.pieces.size());
    op.n_pieces = 1;
    p_.pieces.push_back({0, v.shape.c, static_cast<int>(p_.sources.size()),
                         static_cast<int>(from.operands.size())});
    for (const auto& operand : from.operands) p_.sources.push_back(source_of(operand[0]));
    op.tile_h = 2, op.tile_w = 2, op.tile_c = 8;
    p_.ops.push_back(op);
    p_.plan_op.push_back(index);
  }

  void add_output(const pvnet::OutputFacts& o) {
    pv_output out = {};
    out.piece0 = static_cast<int>(p_.pieces.size());
    out.n_pieces = static_cast<int>(o.source.size());
    out.c = o.shape.c, out.h = o.shape.h, out.w = o.shape.w;
    out.offset = p_.row_floats;
    int c = 0;
    for (const pvnet::Segment& s : o.source) {
      p_.pieces.push_back({c, s.c, static_cast<int>(p_.sources.size()), 1});
      p_.sources.push_back(source_of(s));
      c += s.c;
    }
    p_.row_floats += int64_t{out.c} * out.h * out.w;
    p_.outputs.push_back(out);
  }

  const pvnet::Plan& plan_;
  pvnet::device::Program p_;
};

// Two chains of sums over an input, with delays, a slow clock, a feedback and a join, so that
// stages read each other in a tick and across ticks.
inline pvnet::Graph sums(bool slow) {
  const std::string skip =
      slow
          ? R"({"op":"max_pool","name":"s","inputs":["x"],"attrs":{"kernel":[1,1,1],"stride":[2,1,1]}})"
          : R"({"op":"act","name":"s","inputs":["x"],"attrs":{"act":"relu"}})";
  return nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":5,"width":4}})",
          R"({"op":"feedback","name":"f","inputs":["y"],"attrs":{"channels":3,"height":5,"width":4}})",
          skip,
          R"({"op":"act","name":"a","inputs":["x"],"attrs":{"act":"relu"}})",
          R"({"op":"delay","name":"d","inputs":["a"],"attrs":{"ticks":2}})",
          R"({"op":"add","name":"b","inputs":["a","d"]})",
          R"({"op":"add","name":"c","inputs":["s","a"]})",
          R"({"op":"add","name":"e","inputs":["b","c"]})",
          R"({"op":"act","name":"g","inputs":["f"],"attrs":{"act":"relu"}})",
          R"({"op":"add","name":"y","inputs":["e","g"]})",
      },
      "y");
}

}  // namespace tiny
