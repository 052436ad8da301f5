// SPDX-License-Identifier: Apache-2.0
#include "plan/level.hpp"

#include <algorithm>
#include <utility>

#include "backends/backend.hpp"
#include "backends/host_cost.hpp"
#include "plan/op_params.hpp"

namespace pvnet {
namespace {

// In the unit of measured costs (microseconds) or of estimated ones (multiply-adds of a good
// kernel, 55 in a nanosecond). Lanes that run meet in about half a microsecond, and are a little
// late. Those that sleep take longer to start.
constexpr double kBarrierUs = 1.0, kStartUs = 4.0;
constexpr double kModelPerUs = 55'000.0;

double in_unit_of(const Plan& plan, double us) {
  return plan.options.costs.empty() ? us * kModelPerUs : us;
}

bool on_lane_0_only(const Superstep& superstep) {
  return std::all_of(superstep.lanes.begin() + 1, superstep.lanes.end(),
                     [](const auto& lane) { return lane.empty(); });
}

const ConvShape* conv_of(const PlanOp& op) {
  const bool is_conv = op.params->op == Op::conv3d || op.params->op == Op::linear;
  return is_conv ? &op.params->conv : nullptr;
}

}  // namespace

double barrier_of(const Plan& plan) { return in_unit_of(plan, kBarrierUs); }
double start_of(const Plan& plan) { return in_unit_of(plan, kStartUs); }

void append_whole(const Plan& plan, const Level& level, std::vector<TileRange>& lane) {
  for (const int i : level.ops) lane.push_back({i, 0, plan.ops[i].tiles});
}

SharedLevel share_level(const Plan& plan, const Level& level) {
  const int lanes = plan.options.lanes;
  Superstep superstep;
  superstep.lanes.resize(lanes);
  std::vector<double> load(lanes, 0.0);
  double done = 0;
  for (const int i : level.ops) {
    const PlanOp& op = plan.ops[i];
    const TileShares shares = tile_shares(plan.backend->kernels, conv_of(op), op.tiles);
    int lo = 0;
    while (lo < op.tiles) {
      // The lane in whose share the middle of this tile falls.
      const auto lane_at = [&](int tile) {
        const double mid = done + op.cost * (shares.before(tile) + shares.before(tile + 1)) / 2;
        const double share = level.cost > 0 ? mid / level.cost : 0;
        return std::min(lanes - 1, static_cast<int>(share * lanes));
      };
      const int lane = lane_at(lo);
      int hi = lo + 1;  // the first tile of another lane, by bisection: there may be many tiles
      for (int last = op.tiles; hi < last;) {
        const int mid = hi + (last - hi) / 2;
        if (lane_at(mid) == lane) {
          hi = mid + 1;
        } else {
          last = mid;
        }
      }
      superstep.lanes[lane].push_back({i, lo, hi});
      load[lane] += op.cost * (shares.before(hi) - shares.before(lo));
      lo = hi;
    }
    done += op.cost;
  }
  const double longest = *std::max_element(load.begin(), load.end());
  if (level.cost - longest >= 2 * barrier_of(plan))
    return {std::move(superstep), longest + barrier_of(plan)};
  superstep.lanes.assign(lanes, {});
  append_whole(plan, level, superstep.lanes[0]);
  return {std::move(superstep), level.cost};
}

void append_superstep(Superstep superstep, std::vector<Superstep>& supersteps) {
  if (supersteps.empty() || !on_lane_0_only(superstep) || !on_lane_0_only(supersteps.back())) {
    supersteps.push_back(std::move(superstep));
    return;
  }
  auto& lane = supersteps.back().lanes[0];
  lane.insert(lane.end(), superstep.lanes[0].begin(), superstep.lanes[0].end());
}

}  // namespace pvnet
