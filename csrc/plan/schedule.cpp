// SPDX-License-Identifier: Apache-2.0
#include "plan/schedule.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace pvnet {
namespace {

struct Level {
  std::vector<int> ops;
  double cost = 0;
};
using Chain = std::vector<Level>;

// What a barrier costs: about two microseconds, in the unit of measured costs (microseconds) or of
// the cost model (multiply-adds of a good kernel, some 10^5 in a microsecond).
constexpr double kBarrierUs = 2.0;
constexpr double kBarrierModel = 200'000.0;

double barrier_of(const Plan& plan) {
  return plan.options.costs.empty() ? kBarrierModel : kBarrierUs;
}

double cost_of(const Chain& chain, size_t from) {
  return std::accumulate(chain.begin() + static_cast<int64_t>(from), chain.end(), 0.0,
                         [](double sum, const Level& l) { return sum + l.cost; });
}

struct Packing {
  std::vector<int> lane_of;  // by chain
  double makespan = 0;
};

Packing pack_longest_first(const std::vector<double>& costs, int lanes) {
  std::vector<int> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return costs[a] > costs[b]; });
  std::vector<double> load(lanes, 0.0);
  Packing p;
  p.lane_of.resize(costs.size());
  for (const int c : order) {
    const auto lane = std::min_element(load.begin(), load.end()) - load.begin();
    p.lane_of[c] = static_cast<int>(lane);
    load[lane] += costs[c];
  }
  p.makespan = *std::max_element(load.begin(), load.end());
  return p;
}

// All of a level on one lane.
void append_whole(const Plan& plan, const Level& level, std::vector<TileRange>& lane) {
  for (const int i : level.ops) lane.push_back({i, 0, plan.ops[i].tiles});
}

// Cuts the tiles of a level into `lanes` runs of nearly equal cost; a level that would save less
// than two barriers stays whole, on lane 0. Returns the phase and the time it takes.
std::pair<Phase, double> split_level(const Plan& plan, const Level& level, int lanes) {
  Phase phase;
  phase.lanes.resize(lanes);
  std::vector<double> load(lanes, 0.0);
  double done = 0;
  for (const int i : level.ops) {
    const PlanOp& op = plan.ops[i];
    const double per_tile = op.cost / op.tiles;
    int lo = 0;
    while (lo < op.tiles) {
      // The lane in whose share the middle of this tile falls.
      const auto lane_at = [&](int tile) {
        const double mid = done + per_tile * (tile + 0.5);
        const double share = level.cost > 0 ? mid / level.cost : 0;
        return std::min(lanes - 1, static_cast<int>(share * lanes));
      };
      const int lane = lane_at(lo);
      int hi = lo + 1;
      while (hi < op.tiles && lane_at(hi) == lane) ++hi;
      phase.lanes[lane].push_back({i, lo, hi});
      load[lane] += per_tile * (hi - lo);
      lo = hi;
    }
    done += op.cost;
  }
  const double longest = *std::max_element(load.begin(), load.end());
  if (level.cost - longest >= 2 * barrier_of(plan))
    return {std::move(phase), longest + barrier_of(plan)};
  phase.lanes.assign(lanes, {});
  append_whole(plan, level, phase.lanes[0]);
  return {std::move(phase), level.cost};
}

bool on_lane_0_only(const Phase& phase) {
  return std::all_of(phase.lanes.begin() + 1, phase.lanes.end(),
                     [](const auto& lane) { return lane.empty(); });
}

// Appends a phase; two in a row that are lane 0's alone need no barrier between them.
void append_phase(Phase phase, std::vector<Phase>& phases) {
  if (phases.empty() || !on_lane_0_only(phase) || !on_lane_0_only(phases.back())) {
    phases.push_back(std::move(phase));
    return;
  }
  auto& lane = phases.back().lanes[0];
  lane.insert(lane.end(), phase.lanes[0].begin(), phase.lanes[0].end());
}

// A tick so short that waking the other lanes would take longer than they save.
TickSchedule on_one_lane(const Plan& plan, const std::vector<Chain>& chains) {
  TickSchedule out;
  out.solo = true;
  Phase phase;
  phase.lanes.resize(plan.options.lanes);
  for (const Chain& chain : chains) {
    for (const Level& level : chain) append_whole(plan, level, phase.lanes[0]);
  }
  if (!phase.lanes[0].empty()) out.phases.push_back(std::move(phase));
  return out;
}

TickSchedule schedule_tick(const Plan& plan, const std::vector<Chain>& chains) {
  const int lanes = plan.options.lanes;
  double total = 0;
  for (const Chain& c : chains) total += cost_of(c, 0);
  std::vector<size_t> taken(chains.size(), 0), best_taken = taken;  // levels run by all lanes

  if (lanes > 1) {
    // To start the other lanes, and to wait for them.
    double shared = 2 * barrier_of(plan), best = -1;
    for (;;) {
      std::vector<double> rest;
      for (size_t c = 0; c < chains.size(); ++c) rest.push_back(cost_of(chains[c], taken[c]));
      const double time = shared + pack_longest_first(rest, lanes).makespan;
      if (best < 0 || time < best) best = time, best_taken = taken;
      const auto heaviest = std::max_element(rest.begin(), rest.end()) - rest.begin();
      if (rest.empty() || rest[heaviest] <= 0) break;
      const Level& level = chains[heaviest][taken[heaviest]++];
      shared += split_level(plan, level, lanes).second;
    }
    if (total <= best) return on_one_lane(plan, chains);
  }

  TickSchedule out;
  std::vector<double> rest;
  for (size_t c = 0; c < chains.size(); ++c) {
    for (size_t l = 0; l < best_taken[c]; ++l) {
      append_phase(split_level(plan, chains[c][l], lanes).first, out.phases);
    }
    rest.push_back(cost_of(chains[c], best_taken[c]));
  }
  const Packing packing = pack_longest_first(rest, lanes);
  Phase last;
  last.lanes.resize(lanes);
  bool any = false;
  for (size_t c = 0; c < chains.size(); ++c) {
    for (size_t l = best_taken[c]; l < chains[c].size(); ++l) {
      append_whole(plan, chains[c][l], last.lanes[packing.lane_of[c]]);
      any = true;
    }
  }
  if (any) append_phase(std::move(last), out.phases);
  return out;
}

}  // namespace

bool due_in_phase(const Clock& clock, int64_t phase) {
  return (phase - clock.origin % clock.period + clock.period) % clock.period == 0;
}

int useful_lanes(const Plan& plan, int most) {
  double busiest = 0;
  for (int64_t phase = 0; phase < plan.hyper_period; ++phase) {
    double work = 0;
    for (const PlanOp& op : plan.ops) {
      if (due_in_phase(op.clock, phase)) work += op.cost;
    }
    busiest = std::max(busiest, work);
  }
  const double barriers = busiest / barrier_of(plan);
  int lanes = 1;
  while (lanes < most && (lanes + 1.0) * lanes <= barriers) ++lanes;
  return lanes;
}

int lanes_with_work(const Plan& plan) {
  size_t lanes = 1;
  for (const TickSchedule& tick : plan.schedule) {
    for (const Phase& phase : tick.phases) {
      for (size_t lane = lanes; lane < phase.lanes.size(); ++lane) {
        if (!phase.lanes[lane].empty()) lanes = lane + 1;
      }
    }
  }
  return static_cast<int>(lanes);
}

void make_schedule(Plan& plan) {
  plan.schedule.clear();
  for (int64_t phase = 0; phase < plan.hyper_period; ++phase) {
    std::map<int, std::map<int, Level>> by_group;
    for (size_t i = 0; i < plan.ops.size(); ++i) {
      const PlanOp& op = plan.ops[i];
      if (!due_in_phase(op.clock, phase)) continue;
      Level& level = by_group[op.group][op.level];
      level.ops.push_back(static_cast<int>(i));
      level.cost += op.cost;
    }
    std::vector<Chain> chains;
    for (auto& [group, levels] : by_group) {
      Chain chain;
      for (auto& [index, level] : levels) chain.push_back(std::move(level));
      chains.push_back(std::move(chain));
    }
    plan.schedule.push_back(schedule_tick(plan, chains));
  }
}

}  // namespace pvnet
