// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/row_order.hpp"

#include <algorithm>

#include "plan/level.hpp"
#include "plan/op_params.hpp"
#include "plan/pack.hpp"

namespace pvnet {
namespace {

bool has_matrix(const PlanOp& op) {
  return op.params->op == Op::conv3d || op.params->op == Op::linear;
}

size_t packed_bytes(const Plan& plan, const PlanOp& op) {
  return host_packed_floats(plan, op) * sizeof(float);
}

// A linear layer, in short: few pixels, and weights that no core's own cache keeps.
bool mostly_weights(const Plan& plan, const PlanOp& op) {
  constexpr int64_t kPixels = 4;
  constexpr size_t kBytes = size_t{1} << 20;
  const Shape& shape = plan.values[static_cast<size_t>(op.out_value)].shape;
  return has_matrix(op) && int64_t{shape.h} * shape.w <= kPixels &&
         packed_bytes(plan, op) >= kBytes;
}

// Of maps that an operation reads and writes in one firing of a row.
size_t map_bytes(const Plan& plan, const PlanOp& op) {
  const auto bytes = [&](int value) {
    const Value& v = plan.values[static_cast<size_t>(value)];
    return static_cast<size_t>(int64_t{v.shape.c} * v.shape.h * v.shape.w * element_bytes(v.dtype));
  };
  size_t all = bytes(op.out_value);
  for (size_t i = 0; i < op.operands.size(); ++i) {
    for (const Segment& s : op.operands[i]) {
      all += static_cast<size_t>(op.taps_of(i)) * bytes(s.value);
    }
  }
  return all;
}

// Into how many pieces the tiles of an operation are cut that rows run in turn; 0: each row runs it
// by itself. A core's own cache is to keep a piece of the weights while the rows go over it.
size_t pieces_in_turn(const Plan& plan, const PlanOp& op) {
  constexpr size_t kFew = size_t{64} << 10, kPiece = size_t{256} << 10;
  constexpr size_t kWhole = size_t{768} << 10;
  if (!has_matrix(op)) return 0;
  const size_t weights = packed_bytes(plan, op);
  if (weights < kFew || weights < map_bytes(plan, op)) return 0;
  const ConvShape& shape = op.params->conv;
  // Every tile reads all weights.
  if (tile_size(shape.algorithm) > 0 || tiles_by_rows(shape)) return weights <= kWhole ? 1 : 0;
  return std::min((weights + kPiece - 1) / kPiece, static_cast<size_t>(op.tiles));
}

// The tiles of a superstep, operation by operation: what one of several lanes would run first may
// need nothing of what another runs at that time.
std::vector<TileRange> ranges_of(const Superstep& superstep) {
  std::vector<TileRange> all;
  for (const auto& list : superstep.lanes) {
    for (const TileRange& range : list) {
      const auto same = std::find_if(all.begin(), all.end(), [&](const TileRange& other) {
        return other.op == range.op && other.hi == range.lo;
      });
      if (same == all.end()) {
        all.push_back(range);
      } else {
        same->hi = range.hi;
      }
    }
  }
  return all;
}

void append(const Plan& plan, const TileRange& range, std::vector<RowPiece>& pieces) {
  const auto cuts = static_cast<int>(pieces_in_turn(plan, plan.ops[static_cast<size_t>(range.op)]));
  const bool in_turn = cuts > 0;
  if (in_turn || pieces.empty() || pieces.back().in_turn) pieces.push_back({{}, in_turn});
  const int parts = std::max(1, std::min(cuts, range.hi - range.lo)), tiles = range.hi - range.lo;
  for (int i = 0; i < parts; ++i) {
    pieces.back().ranges.push_back(
        {range.op, range.lo + tiles * i / parts, range.lo + tiles * (i + 1) / parts});
  }
}

}  // namespace

RowOrder::RowOrder(const Plan& plan) : lanes_(plan.options.lanes), barrier_(barrier_of(plan)) {
  if (plan.options.batch == 1) return;
  kept_.assign(plan.values.size(), 0);
  for (const TickSchedule& tick : plan.schedule) {
    std::vector<RowSpan>& spans = spans_.emplace_back();
    double& cost = costs_.emplace_back(0.0);
    for (size_t k = 0; k < tick.supersteps.size(); ++k) {
      const std::vector<TileRange> ranges = ranges_of(tick.supersteps[k]);
      const auto is_of_all = [&](const TileRange& range) {
        return mostly_weights(plan, plan.ops[static_cast<size_t>(range.op)]);
      };
      const bool any = std::any_of(ranges.begin(), ranges.end(), is_of_all);
      for (const TileRange& range : ranges) {
        const PlanOp& op = plan.ops[static_cast<size_t>(range.op)];
        cost += op.cost * (range.hi - range.lo) / op.tiles;
        // Several lanes run a superstep as a whole.
        const bool by_rows = lanes_ == 1 ? !is_of_all(range) : !any;
        if (spans.empty() || spans.back().by_rows != by_rows) spans.push_back({k, k, by_rows, {}});
        spans.back().end = k + 1;
        append(plan, range, spans.back().pieces);
      }
    }
    keep_what_pieces_share(plan, spans);
  }
}

// Scratch is written and read in one tick, so that each tick is looked at by itself.
void RowOrder::keep_what_pieces_share(const Plan& plan, const std::vector<RowSpan>& spans) {
  std::vector<int> piece_of(plan.values.size(), -1);
  int piece = 0;
  const auto touch = [&](int value) {
    int& first = piece_of[static_cast<size_t>(value)];
    if (first < 0) first = piece;
    if (first != piece) kept_[static_cast<size_t>(value)] = 1;
  };
  for (const RowSpan& span : spans) {
    for (const RowPiece& p : span.pieces) {
      ++piece;
      for (const TileRange& range : p.ranges) {
        const PlanOp& op = plan.ops[static_cast<size_t>(range.op)];
        touch(op.out_value);
        for (const auto& operand : op.operands) {
          for (const Segment& s : operand) touch(s.value);
        }
      }
    }
  }
}

// The maps of more rows leave a core's own cache before they are read again.
int RowOrder::group_of(int whole_rows, int lanes) {
  constexpr int kMost = 4;
  const int share = std::max(1, whole_rows / lanes);
  if (lanes == 1) return std::min(kMost, share);
  int group = std::min(kMost, share);
  while (share % group != 0) --group;  // or one lane would have more rows than another
  return group;
}

bool RowOrder::is_worth_lanes(int64_t schedule, int whole_rows) const {
  if (whole_rows == 0) return false;
  const double saved = costs_[at(schedule)] * (whole_rows - whole_rows / lanes_);
  return saved > 2 * barrier_;
}

}  // namespace pvnet
