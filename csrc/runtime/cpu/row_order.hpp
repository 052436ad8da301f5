// SPDX-License-Identifier: Apache-2.0
// How the rows of a batch go through a tick. A group of rows stays on one lane for as long as it
// may: their maps stay in that core's cache, and no lane waits for another. Each row of a group
// runs the operations with large maps by itself. Those with more weights than maps are run by the
// rows in turn, piece by piece of the weights. The core's cache gives them to all rows but the
// first. Operations that are mostly weights are run by all rows of the batch one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plan/plan.hpp"

namespace pvnet {

// What the rows of a group run: each row all ranges, or each range all rows.
struct RowPiece {
  std::vector<TileRange> ranges;
  bool in_turn = false;
};

// A part of a tick. Its pieces are all of it, in an order that one lane may run.
struct RowSpan {
  size_t begin = 0, end = 0;  // supersteps [begin, end), where there are several lanes
  bool by_rows = true;        // groups of rows by themselves; else all rows together
  std::vector<RowPiece> pieces;
};

class RowOrder {
 public:
  explicit RowOrder(const Plan& plan);

  // Rows of `active` that lanes run whole: as many as they share evenly. 0: none of them.
  int whole_rows(int active) const { return active < 2 ? 0 : active - active % lanes_; }
  // How many of them a lane runs as a group, where `lanes` share them.
  static int group_of(int whole_rows, int lanes);
  // Whether a tick that is too short for several lanes is worth them with so many rows.
  bool is_worth_lanes(int64_t schedule, int whole_rows) const;
  // Of a tick of the hyper-period, in order; every superstep is in one of them.
  const std::vector<RowSpan>& spans(int64_t schedule) const { return spans_[at(schedule)]; }
  // By value: whether it is scratch that lies with its row, since more than one piece of a tick
  // touches it.
  const uint8_t* kept() const { return kept_.data(); }

 private:
  static size_t at(int64_t schedule) { return static_cast<size_t>(schedule); }
  void keep_what_pieces_share(const Plan& plan, const std::vector<RowSpan>& spans);

  const int lanes_;
  const double barrier_;
  std::vector<uint8_t> kept_;                // these are empty in a batch of one row
  std::vector<std::vector<RowSpan>> spans_;  // by tick of the hyper-period
  std::vector<double> costs_;                // of a row, likewise
};

}  // namespace pvnet
