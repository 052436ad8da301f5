// SPDX-License-Identifier: Apache-2.0
// Plans with nodes whose map is there in two forms: a backend of the tests, with the kernels of
// ref, has some readers read a twin of the map.
#pragma once

#include <memory>
#include <vector>

#include "backends/registry.hpp"
#include "plan/plan.hpp"

#include "nets.hpp"

namespace twins {

using pvnet::Domain;
using pvnet::Form;
using pvnet::Graph;
using pvnet::Node;
using pvnet::Op;
using pvnet::Plan;
using pvnet::Wiring;

inline constexpr Form kFirst{}, kTwin{pvnet::Dtype::f32, Domain::twin};

inline Form of_convs_to_convs(const Node& reader, const Node& source) {
  return reader.op == Op::conv3d && source.op == Op::conv3d ? kTwin : kFirst;
}
inline Form by_parity(const Node& reader, const Node&) {
  return reader.name.size() % 2 == 0 || reader.op == Op::max_pool ? kTwin : kFirst;
}
inline Form always(const Node&, const Node&) { return kTwin; }

using FormRead = Form (*)(const Node&, const Node&);
inline constexpr FormRead kAsks[] = {of_convs_to_convs, by_parity, always};

// Entries are asked for as long as plans live, and each by its pointer.
inline void ask(FormRead form_read) {
  static std::vector<std::unique_ptr<pvnet::Backend>> entries;
  auto entry = std::make_unique<pvnet::Backend>(*nets::must(pvnet::find_backend("ref", "")));
  entry->name = "test", entry->isa = "";
  entry->layout.form_read = form_read;
  pvnet::set_test_backend(entry.get());
  entries.push_back(std::move(entry));
}

inline std::shared_ptr<const Plan> plan_of(const Graph& g, const char* backend, int lanes = 1,
                                           bool heavy = true) {
  pvnet::CompileOptions o;
  o.backend = backend, o.lanes = lanes;
  if (heavy) o.costs = nets::heavy(g);
  return nets::must(Plan::compile(g, nets::random_weights(g), o));
}

// A clock of 2, delays, a feedback and temporal taps lie between the convolutions.
inline std::shared_ptr<const Plan> mixed_plan(Wiring w, int k, int lanes) {
  return plan_of(nets::must(nets::mixed().wire(w, k)), "test", lanes);
}

inline const std::vector<std::shared_ptr<const Plan>>& plans() {
  static const auto all = [] {
    ask(of_convs_to_convs);
    return std::vector{mixed_plan(Wiring::sequential, 1, 1), mixed_plan(Wiring::predictive, 3, 3)};
  }();
  pvnet::set_test_backend(all[0]->backend);
  return all;
}

}  // namespace twins
