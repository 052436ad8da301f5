// SPDX-License-Identifier: Apache-2.0
// How the rows of a batch go through a tick. A row stays on one lane for as long as it may: its
// maps stay in that core's cache, and no lane waits for another. Operations that are mostly weights
// are run by all rows one after the other instead, so that the weights are read from memory once.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.hpp"

namespace pvnet {

// Supersteps [begin, end) of a tick.
struct RowSpan {
  size_t begin = 0, end = 0;
  bool by_rows = true;  // each row by itself; else all rows, superstep by superstep
};

class RowOrder {
 public:
  explicit RowOrder(const Plan& plan);

  // Rows of `active` that lanes run whole: as many as they share evenly. 0: none of them.
  int whole_rows(int active) const { return active < 2 ? 0 : active - active % lanes_; }
  // Whether a tick that is too short for several lanes is worth them with so many rows.
  bool is_worth_lanes(int64_t schedule, int whole_rows) const;
  // Of a tick of the hyper-period, in order; every superstep is in one of them.
  const std::vector<RowSpan>& spans(int64_t schedule) const { return spans_[at(schedule)]; }
  // By value: whether it is scratch that lies with its row, since more than one piece of a tick
  // touches it. A piece is what a lane runs of a row without a break: a span, or with one lane the
  // operations between two that are mostly weights.
  const uint8_t* kept() const { return kept_.data(); }
  // Whether an operation is mostly weights.
  bool is_mostly_weights(int op) const { return weights_[static_cast<size_t>(op)] != 0; }

 private:
  static size_t at(int64_t schedule) { return static_cast<size_t>(schedule); }
  void keep_what_pieces_share(const Plan& plan, const TickSchedule& tick, int64_t schedule);

  const int lanes_;
  const double barrier_;
  std::vector<uint8_t> weights_;  // by operation; these are empty in a batch of one row
  std::vector<uint8_t> kept_;
  std::vector<std::vector<RowSpan>> spans_;  // by tick of the hyper-period
  std::vector<double> costs_;                // of a row, likewise
};

}  // namespace pvnet
