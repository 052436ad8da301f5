// SPDX-License-Identifier: Apache-2.0
#include "plan/level.hpp"

#include <algorithm>
#include <utility>

#include "backends/backend.hpp"
#include "backends/host_cost.hpp"
#include "plan/op_params.hpp"
#include "plan/pack.hpp"

namespace pvnet {
namespace {

// In the unit of measured costs (microseconds) or of estimated ones (multiply-adds of a good
// kernel, 55 in a nanosecond). Lanes that run meet in about half a microsecond, and are a little
// late. Those that sleep take longer to start.
constexpr double kBarrierUs = 1.0, kStartUs = 4.0;
constexpr double kModelPerUs = 55'000.0;

// A lane's share of the bandwidth of memory, where all lanes read at once: in a microsecond, and
// while a good kernel makes a multiply-add on a core of today.
constexpr double kLaneBytesPerUs = 20'000.0, kLaneBytesPerMac = 0.14;
// The last cache keeps so many bytes of weights from tick to tick.
constexpr double kKeptBytes = 16.0 * (1 << 20);
// What lanes lose that share a level: each reads the map that both have made, and weights of its
// own or the same ones.
constexpr double kSharing = 0.04;

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

// Where an op's tiles lie on the line of a level's work, of which every lane takes a piece.
struct Place {
  int op;
  double begin, length;
};

// Ops of several stages come one after the other: a lane takes most of them whole. Ops of one stage
// work on one frame. There a lane takes its piece of every op that has tiles enough: so it reads
// what it has computed, and errors of the ops' costs cancel.
std::vector<Place> places_of(const Plan& plan, const Level& level) {
  const auto is_shared = [&](int i) { return plan.ops[i].tiles >= 4 * plan.options.lanes; };
  std::vector<Place> places;
  for (const int i : level.ops) places.push_back({i, 0, plan.ops[i].cost});
  std::stable_sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    const int of_a = plan.ops[a.op].group, of_b = plan.ops[b.op].group;
    return of_a != of_b ? of_a < of_b : is_shared(a.op) < is_shared(b.op);
  });
  double done = 0;
  for (size_t i = 0; i < places.size();) {
    const auto goes_with_first = [&](const Place& p) {
      return is_shared(p.op) && plan.ops[p.op].group == plan.ops[places[i].op].group;
    };
    size_t end = i + 1;
    double length = places[i].length;
    if (is_shared(places[i].op)) {
      for (; end < places.size() && goes_with_first(places[end]); ++end)
        length += places[end].length;
    }
    for (; i < end; ++i) places[i] = {places[i].op, done, length};
    done += length;
  }
  return places;
}

}  // namespace

void note_reading(Plan& plan) {
  const double of_byte = 1 / (plan.options.costs.empty() ? kLaneBytesPerMac : kLaneBytesPerUs);
  double all = 0;
  for (PlanOp& op : plan.ops) {
    const size_t floats = plan.backend->kernels == nullptr ? 0 : host_packed_floats(plan, op);
    op.reading = 4.0 * static_cast<double>(floats) * of_byte;
    all += op.reading;
  }
  if (all >= kKeptBytes * of_byte) return;
  for (PlanOp& op : plan.ops) op.reading = 0;
}

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
  double crowding = 0;
  for (const Place& place : places_of(plan, level)) {
    const int i = place.op;
    const PlanOp& op = plan.ops[i];
    const TileShares shares = tile_shares(plan.backend->kernels, conv_of(op), op.tiles);
    int lo = 0;
    while (lo < op.tiles) {
      // The lane in whose share the middle of this tile falls.
      const auto lane_at = [&](int tile) {
        const double within = (shares.before(tile) + shares.before(tile + 1)) / 2;
        const double mid = place.begin + place.length * within;
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
      if (lo == 0 && hi < op.tiles) crowding += std::max(0.0, op.reading - op.cost) / lanes;
      superstep.lanes[lane].push_back({i, lo, hi});
      load[lane] += op.cost * (shares.before(hi) - shares.before(lo));
      lo = hi;
    }
  }
  const double longest = (1 + kSharing) * *std::max_element(load.begin(), load.end()) + crowding;
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
