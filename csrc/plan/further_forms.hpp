// SPDX-License-Identifier: Apache-2.0
// Values of nodes in further forms, made when the first reader asks for one.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "plan/plan.hpp"
#include "plan/quantization.hpp"

namespace pvnet {

class FurtherForms {
 public:
  FurtherForms(Plan& plan, const Quantization& quantization);

  // Leads the reads to the form that the reader wants; whether any was led elsewhere.
  bool lead(int reader, std::vector<Segment>& segments);
  // Behind the op of the node each, a level later: no level but that of its readers depends on it.
  // order: topological.
  void append_ops(const std::vector<int>& order);

 private:
  struct Wanted {
    Form form;
    float scale = 1.0f;
  };
  Wanted wanted_by(int reader, int source) const;
  PlanOp convert(const PlanOp& of, int value) const;

  Plan& plan_;
  const Layout& layout_;
  const Quantization& quantization_;
  std::map<std::pair<int, Form>, int> made_;  // of a first value and a form
};

}  // namespace pvnet
