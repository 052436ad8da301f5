// SPDX-License-Identifier: Apache-2.0
// The parts of check(): each proves a noun of a Program from a Plan that is proved itself, and by
// code of its own. Every row of every table must be of use, so that damage anywhere is refused.
#pragma once

#include <string>
#include <vector>

#include "backends/layout.hpp"
#include "graph/errors.hpp"
#include "plan/device/program.hpp"

namespace pvnet::device {

Status wrong(const std::string& what, int64_t got, int64_t expected);
Status wrong(const std::string& what, const std::string& got, const std::string& expected);

// Rows of a table that somebody has named.
class Used {
 public:
  explicit Used(size_t rows) : rows_(rows, false) {}
  bool has(int64_t row) const { return row >= 0 && row < static_cast<int64_t>(rows_.size()); }
  void mark(int64_t row) { rows_[static_cast<size_t>(row)] = true; }
  Status all(const char* table) const;

 private:
  std::vector<bool> rows_;
};

// Rows of tables against what of the plan they should say, operation by operation.
class ReadsCheck {
 public:
  ReadsCheck(const Plan& plan, const Program& program);

  // The read finds the segment at so many firings back.
  Status read(int row, const Segment& segment, int64_t taps_back);
  // The segment's and value's own clock.
  Status own(int segment, int value);
  Status write(int row, int value);
  // Pieces are channels [lo, hi) of the operand, at all taps, oldest first.
  Status pieces(int piece0, int n_pieces, const std::vector<Segment>& operand, int taps,
                int dilation, int lo, int hi);
  Status eltwise(const pv_op& op, const PlanOp& of);
  // Pieces are runs of chosen channels.
  Status selected(const pv_op& op, const std::vector<Segment>& operand,
                  const std::vector<int>& index);
  // Patches in the order of k.
  Status patches(const pv_op& op, const PlanOp& of, int lo, bool folded);
  Status all_used() const;

 private:
  const Plan& plan_;
  const Program& program_;
  Used segments_, reads_;
  int64_t sources_ = 0, pieces_ = 0, patches_ = 0;  // seen so far: they lie in the order of use

  Status piece(int row, int c0, int channels, int n_sources, const pv_piece** found);
  Status source(int row, const Segment& segment, int64_t taps_back, int c0, int c_step);
};

Status check_values(const Plan& plan, const Program& program);
// Also weights, floats, sums of splits: where they lie.
Status check_ops(const Plan& plan, const Program& program, ReadsCheck& reads);
// Of a convolution on tensor cores: everything from patch0 on. May a convolution be there?
Status check_cut(const Plan& plan, const pv_op& op, const PlanOp& of, int lo, ReadsCheck& reads);
bool fits_tensor_cores(const Plan& plan, const PlanOp& of);

// Weights and biases are the folded ones of their nodes, rounded.
Status check_weights(const Plan& plan, const Program& program, const WeightSource& weights);

}  // namespace pvnet::device
