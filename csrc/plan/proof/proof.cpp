// SPDX-License-Identifier: Apache-2.0
#include "plan/proof/proof.hpp"

#include <algorithm>
#include <numeric>

#include "backends/registry.hpp"
#include "plan/fingerprint.hpp"
#include "plan/options.hpp"

namespace pvnet {
namespace proof {

Status wrong(const std::string& what, const std::string& got, const std::string& expected) {
  return failed(Code::internal, "validate", what, got, expected,
                "Report this plan as a bug of pvnet.");
}

namespace {

Status in_range(const char* what, int64_t got, int64_t lo, int64_t hi) {
  if (got >= lo && got <= hi) return {};
  return wrong(what, std::to_string(got), std::to_string(lo) + " to " + std::to_string(hi));
}

Status same_count(const char* what, size_t got, size_t expected) {
  if (got == expected) return {};
  return wrong(std::string("number of ") + what, std::to_string(got), std::to_string(expected));
}

}  // namespace

Status prove_frame(const Plan& plan) {
  PVNET_TRY(plan.graph.check());
  const CompileOptions& o = plan.options;
  PVNET_TRY(in_range("lanes", o.lanes, 1, kMaxLanes));
  PVNET_TRY(in_range("batch", o.batch, 1, kMaxBatch));
  const auto backend = find_backend(o.backend, o.isa, o.dtype);
  if (!backend.ok()) return wrong("backend", o.backend + " " + o.isa, "one of this machine");
  if (backend.value() != plan.backend) return wrong("backend", "another entry", o.backend);
  const auto& dtypes = plan.backend->layout.dtypes;
  if (std::none_of(dtypes.begin(), dtypes.end(),
                   [&](Dtype d) { return to_string(d) == o.dtype; })) {
    return wrong("dtype", o.dtype, "one of the backend");
  }
  PVNET_TRY(check_ranges(plan.graph, o));
  if (!wish_of(o).has_value()) {
    return wrong("algorithm and memory", o.algorithm + ", " + o.memory, "those that there are");
  }
  if (o.backend != plan.backend->name || o.isa != plan.backend->isa) {
    return wrong("name of the backend", o.backend + " " + o.isa,
                 std::string(plan.backend->name) + " " + plan.backend->isa);
  }

  int64_t hyper = 1;  // graph.check() has bounded it
  size_t values = 0, inputs = 0;
  for (const Node& n : plan.graph.nodes()) {
    hyper = std::lcm(hyper, n.clock.period);
    values += holds_memory(n.op) ? 1 : 0;
    inputs += n.op == Op::input ? 1 : 0;
  }
  if (plan.hyper_period != hyper) {
    return wrong("hyper-period", std::to_string(plan.hyper_period), std::to_string(hyper));
  }
  // Which of them are further forms, and of what, the next parts prove.
  const bool forms = has_forms(plan);
  const size_t more = forms ? std::max(plan.values.size(), values) - values : 0;
  PVNET_TRY(same_count("values", plan.values.size(), values + more));
  PVNET_TRY(same_count("ops", plan.ops.size(), values + more - inputs));
  PVNET_TRY(same_count("inputs", plan.input_values.size(), inputs));
  PVNET_TRY(same_count("input scales", plan.input_scale.size(), inputs));
  PVNET_TRY(same_count("input shifts", plan.input_shift.size(), inputs));
  PVNET_TRY(same_count("outputs", plan.outputs.size(), plan.graph.outputs().size()));
  return same_count("tick schedules", plan.schedule.size(), static_cast<size_t>(hyper));
}

Status prove(const Plan& plan) {
  PVNET_TRY(prove_frame(plan));
  Proof proof(plan);
  PVNET_TRY(prove_values(proof));
  PVNET_TRY(prove_ops(proof));
  PVNET_TRY(prove_reads(proof));
  PVNET_TRY(prove_facts(plan));
  PVNET_TRY(prove_rings(proof));
  return prove_schedule(proof);
}

}  // namespace proof

Status validate(const Plan& plan) {
  PVNET_TRY(proof::prove(plan));
  PVNET_TRY(proof::prove_packed(plan));
  const uint64_t fingerprint = fingerprint_of(plan);
  if (plan.fingerprint == fingerprint) return {};
  return proof::wrong("fingerprint", std::to_string(plan.fingerprint),
                      std::to_string(fingerprint) + " (of graph, weights, backend and state)");
}

}  // namespace pvnet
