// SPDX-License-Identifier: Apache-2.0
// Reads: every edge of the graph is followed through the nodes that hold no memory, and what it
// leads to must be the segments of the plan, one by one: node, channels, and hops that reach the
// same firing at every tick and tap.
#include <algorithm>
#include <cstdlib>

#include "backends/backend.hpp"
#include "plan/op_params.hpp"
#include "plan/proof/proof.hpp"
#include "plan/proof/ways.hpp"

namespace pvnet::proof {
namespace {

class Reads {
 public:
  explicit Reads(Proof& proof) : p_(proof), plan_(proof.plan) {}

  Status run() {
    was_read_.assign(plan_.values.size(), false);
    PVNET_TRY(scales());
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      PVNET_TRY(operands(i));
      p_.reads_end.push_back(p_.reads.size());
    }
    if (plan_.max_segments != most_segments_) {
      return wrong("room for segments", std::to_string(plan_.max_segments),
                   std::to_string(most_segments_));
    }
    for (size_t i = 0; i < plan_.outputs.size(); ++i) {
      const Output& output = plan_.graph.outputs()[i];
      const Edge edge{output.node, plan_.graph.output_delay(output), false};
      reader_ = -1 - static_cast<int>(i);
      PVNET_TRY(follow(edge, plan_.outputs[i].source, 0));
    }
    for (const auto& [form, value] : p_.others) {
      if (was_read_[static_cast<size_t>(value)]) continue;
      return wrong("further value of " + p_.name(value), "one that nobody reads", "none");
    }
    return {};
  }

 private:
  Proof& p_;
  const Plan& plan_;
  int most_segments_ = 1;
  int reader_ = 0;              // an op, or -1 - output
  std::vector<bool> was_read_;  // [value]

  struct Step {  // a node that holds no memory, on the way
    int node = -1;
    size_t next = 0;   // of its inputs
    Way::Undo before;  // it was reached
  };
  std::vector<Step> steps_;
  Way way_;  // through these steps

  std::string who() const {
    if (reader_ >= 0) return p_.op_name(static_cast<size_t>(reader_));
    return "output '" + plan_.graph.outputs()[static_cast<size_t>(-1 - reader_)].name + "'";
  }
  const Node& node_at(int n) const { return p_.nodes[static_cast<size_t>(n)]; }

  // The value of the node in the form that the reader needs; -1: there is none. Results are taken,
  // and conversions made, from what was computed.
  int value_read(int source) const {
    const int first = p_.value_of[static_cast<size_t>(source)];
    if (!has_forms(plan_) || reader_ < 0 || node_at(source).op == Op::input) return first;
    const PlanOp& op = plan_.ops[static_cast<size_t>(reader_)];
    if (op.converts) return first;
    const Form form = form_read(op.node, source);
    if (form == plan_.values[static_cast<size_t>(first)].form()) return first;
    const auto it = p_.others.find({source, form});
    return it == p_.others.end() ? -1 : it->second;
  }

  Form form_read(int reader, int source) const {
    const Quantization& q = p_.quantization;
    if (q.active()) return {q.read(reader, source).dtype, Domain::spatial};
    return plan_.backend->layout.form_read(node_at(reader), node_at(source));
  }

  // The step of 8 bits that every reader takes for granted.
  Status scales() const {
    const Quantization& q = p_.quantization;
    for (size_t v = 0; v < plan_.values.size(); ++v) {
      const Value& value = plan_.values[v];
      const bool first = p_.value_of[static_cast<size_t>(value.node)] == static_cast<int>(v);
      Stored expected = q.active() ? q.computed(value.node) : Stored{};
      if (!first) expected = is_8_bit(value.dtype) ? q.range(value.node) : Stored{};
      if (value.scale == expected.scale) continue;
      return wrong("scale of " + p_.name(static_cast<int>(v)), std::to_string(value.scale),
                   std::to_string(expected.scale));
    }
    return {};
  }

  Status operands(size_t i) {
    const PlanOp& op = plan_.ops[i];
    const Node& node = node_at(op.node);
    reader_ = static_cast<int>(i);
    std::vector<Edge> own;
    if (op.converts) own.push_back({op.node, 0, false});
    const std::vector<Edge>& inputs = op.converts ? own : node.inputs;
    if (op.operands.size() != inputs.size() ||
        op.operands.size() > static_cast<size_t>(kMaxOperands)) {
      return wrong("operands of " + who(), std::to_string(op.operands.size()),
                   std::to_string(inputs.size()) + ", at most " + std::to_string(kMaxOperands));
    }
    const int64_t oldest = int64_t{op.taps - 1} * op.dilation;
    for (size_t k = 0; k < op.operands.size(); ++k) {
      PVNET_TRY(follow(inputs[k], op.operands[k], oldest));
      most_segments_ = std::max(most_segments_, static_cast<int>(op.operands[k].size()));
    }
    if (!is_conv(node.op) || op.converts) return {};
    PVNET_TRY(told_segments(i));
    return plan_.backend->layout.halo ? halos(i) : Status{};
  }

  // Every value the edge leads to, in order, against the segments of the plan.
  Status follow(const Edge& edge, const std::vector<Segment>& segments, int64_t oldest) {
    size_t found = 0;
    steps_.clear();
    way_ = {};
    PVNET_TRY(step(edge, segments, found, oldest));
    while (!steps_.empty()) {
      Step& at = steps_.back();
      const auto& inputs = node_at(at.node).inputs;
      if (at.next == inputs.size()) {
        way_.undo(at.before);
        steps_.pop_back();
        continue;
      }
      PVNET_TRY(step(inputs[at.next++], segments, found, oldest));
    }
    if (found == segments.size()) return {};
    return wrong("segments read by " + who(), std::to_string(segments.size()),
                 std::to_string(found));
  }

  Status step(const Edge& edge, const std::vector<Segment>& segments, size_t& found,
              int64_t oldest) {
    const Node& src = node_at(edge.src);
    const Way::Undo before = way_.add({src.clock, edge.delay});
    if (!holds_memory(src.op)) {
      if (steps_.size() > p_.nodes.size()) {
        return wrong("way of a read of " + who(), "a cycle of nodes that hold no value", "a value");
      }
      steps_.push_back({edge.src, 0, before});
      return {};
    }
    if (found == segments.size()) {
      return wrong("segments read by " + who(), std::to_string(found), "more");
    }
    const Segment& s = segments[found++];
    const int value = value_read(edge.src);
    if (value < 0 || s.value != value || s.c != src.shape.c) {
      return wrong("segment " + std::to_string(found - 1) + " read by " + who(),
                   std::to_string(s.c) + " channels of value " + std::to_string(s.value),
                   std::to_string(src.shape.c) + " of " + std::to_string(value));
    }
    was_read_[static_cast<size_t>(value)] = true;
    Way told;
    for (const Hop& hop : s.hops) {
      const Clock& c = hop.clock;
      constexpr int64_t kFar = int64_t{1} << 50;  // no sum of these leaves 64 bits
      const auto near = [](int64_t x) { return x >= -kFar && x <= kFar; };
      if (c.period < 1 || !near(c.period) || !near(c.origin) || !near(hop.delay) ||
          s.hops.size() > 64) {
        return wrong("hops from " + who() + " to " + quoted(src.name), "none of a graph", "some");
      }
      told.add(hop);
    }
    if (!(told == way_))
      return wrong("hops from " + who() + " to " + quoted(src.name), "others", "the graph's");
    way_.undo(before);
    p_.reads.push_back({&s, oldest, SameTick::never});
    return {};
  }

  // The kernel is told the channels of every segment apart from the segments themselves.
  Status told_segments(size_t i) const {
    const PlanOp& op = plan_.ops[i];
    const OpParams& params = *op.params;
    bool same = params.conv.seg_c == params.seg_c.data() &&
                params.conv.n_segs == static_cast<int>(op.operands[0].size()) &&
                params.seg_c.size() == op.operands[0].size();
    for (size_t s = 0; same && s < params.seg_c.size(); ++s) {
      same = params.seg_c[s] == op.operands[0][s].c;
    }
    if (same) return {};
    return wrong("segments told to the kernel of " + p_.op_name(i), "others", "those it reads");
  }

  // Rows and columns of the last window that lie beyond the map, or those of the first.
  static int64_t beyond(int in, int out, int kernel, int stride, int dilation, int padding) {
    const int64_t last = int64_t{out - 1} * stride + int64_t{kernel - 1} * dilation - padding;
    return std::max<int64_t>(padding, last - (in - 1));
  }

  Status halos(size_t i) const {
    const ConvShape& s = plan_.ops[i].params->conv;  // proved with the op
    const int64_t h = beyond(s.in_h, s.out_h, s.kh, s.sh, s.dh, s.ph);
    const int64_t w = beyond(s.in_w, s.out_w, s.kw, s.sw, s.dw, s.pw);
    for (const Segment& segment : plan_.ops[i].operands[0]) {
      const Value& v = plan_.values[static_cast<size_t>(segment.value)];
      if (v.halo_h >= h && v.halo_w >= w) continue;
      return wrong("halo of " + p_.name(segment.value) + " read by " + p_.op_name(i),
                   std::to_string(v.halo_h) + " x " + std::to_string(v.halo_w),
                   "at least " + std::to_string(h) + " x " + std::to_string(w));
    }
    return {};
  }
};

}  // namespace

Status prove_reads(Proof& proof) { return Reads(proof).run(); }

}  // namespace pvnet::proof
