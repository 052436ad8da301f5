// SPDX-License-Identifier: Apache-2.0
#include "plan/further_forms.hpp"

#include <algorithm>
#include <memory>

#include "backends/backend.hpp"
#include "plan/op_params.hpp"

namespace pvnet {

FurtherForms::FurtherForms(Plan& plan, const Quantization& quantization)
    : plan_(plan), layout_(plan.backend->layout), quantization_(quantization) {}

bool FurtherForms::lead(int reader, std::vector<Segment>& segments) {
  if (layout_.form_read == nullptr && !quantization_.active()) return false;
  bool led = false;
  for (Segment& s : segments) {
    const Value first = plan_.values[s.value];
    const Node& source = plan_.graph.nodes()[first.node];
    if (source.op == Op::input) continue;
    const Wanted wanted = wanted_by(reader, first.node);
    const Form& form = wanted.form;
    if (form == first.form()) continue;
    const auto next = static_cast<int>(plan_.values.size());
    const auto [it, added] = made_.try_emplace({s.value, form}, next);
    if (added) {
      plan_.values.push_back(first);
      plan_.values.back().dtype = form.dtype;
      plan_.values.back().domain = form.domain;
      plan_.values.back().scale = wanted.scale;
    }
    s.value = it->second;
    led = true;
  }
  return led;
}

void FurtherForms::append_ops(const std::vector<int>& order) {
  if (made_.empty()) return;
  std::vector<size_t> rank(order.size());
  for (size_t i = 0; i < order.size(); ++i) rank[order[i]] = i;
  std::vector<PlanOp> ops;
  for (const PlanOp& op : plan_.ops) {
    for (auto it = made_.lower_bound({op.out_value, Form{}});
         it != made_.end() && it->first.first == op.out_value; ++it) {
      ops.push_back(convert(op, it->second));
    }
  }
  for (PlanOp& op : ops) plan_.ops.push_back(std::move(op));
  const auto rank_of = [&](const PlanOp& op) { return rank[plan_.values[op.out_value].node]; };
  std::stable_sort(plan_.ops.begin(), plan_.ops.end(),
                   [&](const PlanOp& a, const PlanOp& b) { return rank_of(a) < rank_of(b); });
}

FurtherForms::Wanted FurtherForms::wanted_by(int reader, int source) const {
  const auto& nodes = plan_.graph.nodes();
  if (!quantization_.active()) return {layout_.form_read(nodes[reader], nodes[source])};
  const Stored stored = quantization_.read(reader, source);
  return {{stored.dtype, Domain::spatial}, stored.scale};
}

PlanOp FurtherForms::convert(const PlanOp& of, int value) const {
  PlanOp op;
  op.node = plan_.values[value].node;
  op.out_value = value;
  op.converts = true;
  op.clock = of.clock;
  op.stage = of.stage;
  op.group = of.group;
  op.level = of.level + 1;
  const Shape& s = plan_.values[value].shape;
  // Nobody measures it: a multiply-add an element in the cost model, nothing beside microseconds.
  if (plan_.options.costs.empty()) op.cost = static_cast<double>(int64_t{s.c} * s.h * s.w);
  op.operands = {{{of.out_value, s.c, {{of.clock, 0}}}}};
  auto params = std::make_shared<OpParams>();
  params->op = Op::act;  // of no activation: a copy
  op.params = std::move(params);
  return op;
}

}  // namespace pvnet
