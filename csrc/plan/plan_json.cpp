// SPDX-License-Identifier: Apache-2.0
#include "backends/kernel_api.hpp"
#include "graph/json.hpp"
#include "plan/op_params.hpp"

#include "plan/plan.hpp"

namespace pvnet {
namespace {

using json::Value;

Value clock_json(const Clock& clock) {
  Value v = Value::object();
  v.set("period", Value::integer(clock.period));
  v.set("origin", Value::integer(clock.origin));
  return v;
}

Value segment_json(const Plan& plan, const Segment& s) {
  Value v = Value::object();
  v.set("node", Value::string(plan.graph.nodes()[plan.values[s.value].node].name));
  v.set("value", Value::integer(s.value));
  v.set("channels", Value::integer(s.c));
  int64_t delay = 0;
  for (const Hop& hop : s.hops) delay += hop.delay;
  v.set("delay_ticks", Value::integer(delay));
  return v;
}

Value values_json(const Plan& plan) {
  Value out = Value::array();
  for (const auto& value : plan.values) {
    Value v = Value::object();
    v.set("node", Value::string(plan.graph.nodes()[value.node].name));
    v.set("dtype", Value::string(std::string(to_string(value.dtype))));
    if (is_8_bit(value.dtype)) v.set("scale", Value::number(static_cast<double>(value.scale)));
    v.set("domain", Value::string(std::string(to_string(value.domain))));
    v.set("memory", Value::string(value.persistent ? "state" : "scratch"));
    v.set("depth_slots", Value::integer(value.depth));
    v.set("offset_bytes", Value::integer(value.offset));
    v.set("slot_bytes", Value::integer(value.slot_bytes));
    v.set("clock", clock_json(value.clock));
    out.push(std::move(v));
  }
  return out;
}

Value ops_json(const Plan& plan) {
  Value out = Value::array();
  for (const PlanOp& op : plan.ops) {
    const Node& node = plan.graph.nodes()[op.node];
    Value v = Value::object();
    v.set("node", Value::string(node.name));
    v.set("op", Value::string(op.converts ? "convert" : to_string(op.params->op)));
    v.set("out_value", Value::integer(op.out_value));
    v.set("stage", Value::integer(op.stage));
    v.set("level", Value::integer(op.level));
    if (op.params->op == Op::conv3d || op.params->conv.algorithm == ConvAlgorithm::int8) {
      v.set("algorithm", Value::string(std::string(to_string(op.params->conv.algorithm))));
    }
    v.set("tiles", Value::integer(op.tiles));
    v.set("taps", Value::integer(op.taps));
    v.set("cost", Value::number(op.cost));
    v.set("macs", Value::integer(op.converts ? 0 : node.macs));
    v.set("period", Value::integer(op.clock.period));
    Value operands = Value::array();
    for (const auto& operand : op.operands) {
      Value segments = Value::array();
      for (const Segment& s : operand) segments.push(segment_json(plan, s));
      operands.push(std::move(segments));
    }
    v.set("operands", std::move(operands));
    out.push(std::move(v));
  }
  return out;
}

Value schedule_json(const Plan& plan) {
  Value out = Value::array();
  for (const TickSchedule& tick : plan.schedule) {
    Value supersteps = Value::array();
    for (const Superstep& superstep : tick.supersteps) {
      Value lanes = Value::array();
      for (const auto& lane : superstep.lanes) {
        Value ranges = Value::array();
        for (const TileRange& r : lane) {
          Value range = Value::array();
          range.push(Value::integer(r.op));
          range.push(Value::integer(r.lo));
          range.push(Value::integer(r.hi));
          ranges.push(std::move(range));
        }
        lanes.push(std::move(ranges));
      }
      supersteps.push(std::move(lanes));
    }
    out.push(std::move(supersteps));
  }
  return out;
}

}  // namespace

std::string Plan::to_json() const {
  json::Value v = json::Value::object();
  v.set("format", json::Value::string("pvnet-plan"));
  v.set("backend", json::Value::string(options.backend));
  v.set("isa", json::Value::string(options.isa));
  v.set("dtype", json::Value::string(options.dtype));
  v.set("executor", json::Value::string(options.executor));
  v.set("algorithm", json::Value::string(options.algorithm));
  v.set("memory", json::Value::string(options.memory));
  v.set("lanes", json::Value::integer(options.lanes));
  v.set("batch", json::Value::integer(options.batch));
  v.set("hyper_period_ticks", json::Value::integer(hyper_period));
  v.set("settle_ticks", json::Value::integer(settle_ticks));
  v.set("state_bytes", json::Value::integer(state_bytes));
  v.set("scratch_bytes", json::Value::integer(scratch_bytes));
  v.set("lane_bytes", json::Value::integer(lane_bytes));
  v.set("stream_bytes", json::Value::integer(stream_bytes()));
  v.set("weights_bytes", json::Value::integer(static_cast<int64_t>(packed.size())));
  v.set("values", values_json(*this));
  v.set("ops", ops_json(*this));
  v.set("schedule", schedule_json(*this));
  return v.dump();
}

}  // namespace pvnet
