// SPDX-License-Identifier: Apache-2.0
// The parts of validate(). Each proves one noun of the plan from the graph, in the order below, and
// may rely on what the parts before it have proved. That is why damage anywhere gives a refusal and
// never a crash. No part shares code with lower, layout, schedule or resolve, which they judge.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.hpp"
#include "backends/kernel_api.hpp"
#include "graph/errors.hpp"

#include "plan/plan.hpp"
#include "plan/quantization.hpp"

namespace pvnet::proof {

// Whether a read sees what is written in the very tick in which it reads.
enum class SameTick : uint8_t { never, sometimes, always };

// One segment of an operand or of an output.
struct Read {
  const Segment* segment = nullptr;
  int64_t oldest_tap = 0;  // firings between the newest tap and the oldest
  SameTick same_tick = SameTick::never;
};

// What is proved of a plan so far.
struct Proof {
  // Of a plan whose frame is proved.
  explicit Proof(const Plan& p)
      : plan(p), nodes(p.graph.nodes()), quantization(p.graph, p.options) {}

  const Plan& plan;
  const std::vector<Node>& nodes;
  const Quantization quantization;
  std::vector<int> value_of;  // [node]; the one it computes, or a frame; -1: holds no memory
  std::map<std::pair<int, Form>, int> others;  // further values, by node and form
  std::vector<int> writer_of;                  // [value]; the op that writes it, -1: frames do
  std::vector<Read> reads;        // of all ops, then of all outputs, as the plan lists them
  std::vector<size_t> reads_end;  // [op]; its reads begin where those of the op before end

  size_t reads_begin(size_t op) const { return op == 0 ? 0 : reads_end[op - 1]; }
  size_t output_reads_begin() const { return reads_end.empty() ? 0 : reads_end.back(); }
  std::string name(int value) const {
    return quoted(nodes[static_cast<size_t>(plan.values[static_cast<size_t>(value)].node)].name);
  }
  std::string op_name(size_t op) const {
    return quoted(nodes[static_cast<size_t>(plan.ops[op].node)].name);
  }
};

Status wrong(const std::string& what, const std::string& got, const std::string& expected);

// Options, backend, hyper-period, the number of things.
Status prove_frame(const Plan& plan);
// Every node with memory has one value of its shape and clock of the first form, and of other forms
// at most one each, inside their arena; rings are disjoint.
Status prove_values(Proof& proof);
// Every node that computes has one op of its clock, parameters, taps and tiles, and every further
// value one that converts; inputs.
Status prove_ops(Proof& proof);
// Every operand and output reads what the edges of the graph say, in their order, in the form that
// the reader needs; every further value is read; halos suffice.
Status prove_reads(Proof& proof);
// Rings are deep enough for every read, and what is read in later ticks persists.
Status prove_rings(Proof& proof);
// In every tick of the hyper-period all that is due is computed once, before it is read, and
// nothing writes over what is still needed.
Status prove_schedule(const Proof& proof);
// Names, shapes and temporal facts of outputs.
Status prove_facts(const Plan& plan);
// Extents of packed weights; and, where the weights are given, that the right ones lie there.
Status prove_packed(const Plan& plan, const WeightSource* weights = nullptr);

// All but the packed weights and the fingerprint, which compile() makes later.
Status prove(const Plan& plan);

// At `tick` the newest tap reads a firing of a value of this clock that is made in that tick.
bool reads_what_is_due(const Segment& segment, const Clock& clock, int64_t tick);
// What the kernel of a conv3d or linear node must be told; seg_c and n_segs are left out. int8: it
// computes over 8 bits.
ConvShape conv_shape_of(const Plan& plan, const Node& node, bool int8);

// Whether a node may have more than one value.
inline bool has_forms(const Plan& plan) {
  return plan.backend->layout.form_read != nullptr || plan.options.dtype == to_string(Dtype::int8);
}
inline bool is_conv(Op op) { return op == Op::conv3d || op == Op::linear; }
inline bool has_channel_weights(Op op) {
  return op == Op::scale || op == Op::prelu || op == Op::group_norm || op == Op::layer_norm;
}
inline bool holds_memory(Op op) {
  return op != Op::concat && op != Op::delay && op != Op::feedback;
}

}  // namespace pvnet::proof
