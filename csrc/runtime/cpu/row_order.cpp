// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/row_order.hpp"

#include "plan/level.hpp"
#include "plan/op_params.hpp"
#include "plan/pack.hpp"

namespace pvnet {
namespace {

// A linear layer, in short: few pixels, and weights that no core's own cache keeps.
bool mostly_weights(const Plan& plan, const PlanOp& op) {
  constexpr int64_t kPixels = 4;
  constexpr size_t kFloats = size_t{1} << 18;  // 1 MiB
  if (op.params->op != Op::conv3d && op.params->op != Op::linear) return false;
  const Shape& shape = plan.values[static_cast<size_t>(op.out_value)].shape;
  return int64_t{shape.h} * shape.w <= kPixels && host_packed_floats(plan, op) >= kFloats;
}

}  // namespace

RowOrder::RowOrder(const Plan& plan) : lanes_(plan.options.lanes), barrier_(barrier_of(plan)) {
  if (plan.options.batch == 1) return;
  for (const PlanOp& op : plan.ops) weights_.push_back(mostly_weights(plan, op) ? 1 : 0);
  kept_.assign(plan.values.size(), 0);
  for (const TickSchedule& tick : plan.schedule) {
    std::vector<RowSpan>& spans = spans_.emplace_back();
    double& cost = costs_.emplace_back(0.0);
    for (size_t k = 0; k < tick.supersteps.size(); ++k) {
      bool by_rows = true;
      for (const auto& lane : tick.supersteps[k].lanes) {
        for (const TileRange& range : lane) {
          const PlanOp& op = plan.ops[static_cast<size_t>(range.op)];
          cost += op.cost * (range.hi - range.lo) / op.tiles;
          by_rows = by_rows && !is_mostly_weights(range.op);
        }
      }
      if (spans.empty() || spans.back().by_rows != by_rows) spans.push_back({k, k, by_rows});
      spans.back().end = k + 1;
    }
    keep_what_pieces_share(plan, tick, static_cast<int64_t>(spans_.size()) - 1);
  }
}

// Scratch is written and read in one tick, so that each tick is looked at by itself.
void RowOrder::keep_what_pieces_share(const Plan& plan, const TickSchedule& tick,
                                      int64_t schedule) {
  std::vector<int> piece_of(plan.values.size(), -1);
  int piece = 0;
  const auto touch = [&](int value) {
    int& first = piece_of[static_cast<size_t>(value)];
    if (first < 0) first = piece;
    if (first != piece) kept_[static_cast<size_t>(value)] = 1;
  };
  for (const RowSpan& span : spans(schedule)) {
    ++piece;
    for (size_t k = span.begin; k < span.end; ++k) {
      for (const auto& list : tick.supersteps[k].lanes) {
        for (const TileRange& range : list) {
          const PlanOp& op = plan.ops[static_cast<size_t>(range.op)];
          const bool apart = lanes_ == 1 && is_mostly_weights(range.op);
          piece += apart;
          touch(op.out_value);
          for (const auto& operand : op.operands) {
            for (const Segment& s : operand) touch(s.value);
          }
          piece += apart;
        }
      }
    }
  }
}

bool RowOrder::is_worth_lanes(int64_t schedule, int whole_rows) const {
  if (whole_rows == 0) return false;
  const double saved = costs_[at(schedule)] * (whole_rows - whole_rows / lanes_);
  return saved > 2 * barrier_;
}

}  // namespace pvnet
