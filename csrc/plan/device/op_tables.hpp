// SPDX-License-Identifier: Apache-2.0
// From an operation of a Plan to operations of a device: which kernel, which tiles, which room.
#pragma once

#include "backends/layout.hpp"
#include "graph/size.hpp"
#include "plan/device/tables.hpp"

namespace pvnet::device {

Dtype dtype_of(const Plan& plan);
// Of a row and, on tensor cores, of every split.
int64_t tiles_of(const pv_op& op);
// Of an operation on its own; 0: it has no weights.
Size weight_bytes(const pv_op& op, Dtype dtype);

class OpTables {
 public:
  OpTables(const Plan& plan, const ProgramOptions& options, Tables& tables, Program& program);
  Status add(int plan_op);

 private:
  const Plan& plan_;
  const bool plain_;
  const Dtype dtype_;
  Tables& tables_;
  Program& program_;
  Size weights_;           // bytes
  Size cells_, counters_;  // of sums of splits

  pv_op start(const PlanOp& op) const;
  Status add_conv(int plan_op);
  Status add_map(int plan_op);
  void add_floats(pv_op& op, const std::vector<float>& floats);
  // Channels of `group` on tensor cores; false where they have no room there.
  bool on_tensor_cores(const PlanOp& of, int group, int groups, pv_op& op) const;
  Status finish(int plan_op, pv_op op);
};

}  // namespace pvnet::device
