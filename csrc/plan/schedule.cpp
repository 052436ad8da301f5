// SPDX-License-Identifier: Apache-2.0
#include "plan/schedule.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <queue>

#include "graph/errors.hpp"
#include "graph/limits.hpp"
#include "plan/level.hpp"
#include "plan/waves.hpp"

namespace pvnet {
namespace {

// The levels of one group that have work in a tick.
struct Chain {
  std::vector<Level> levels;
  std::vector<double> cost_from;  // of the levels from l on; one more than levels, the last is 0
  size_t shared = 0;              // levels at the front that all lanes run together

  double rest() const { return cost_from[shared]; }
};

struct Packing {
  std::vector<int> lane_of;  // by chain
  double makespan = 0;
};

Packing pack_longest_first(const std::vector<double>& costs, int lanes) {
  std::vector<int> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return costs[a] > costs[b]; });
  // The lane with the least load, the first of equals, is on top.
  using Load = std::pair<double, int>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int lane = 0; lane < lanes; ++lane) loads.emplace(0.0, lane);
  Packing p;
  p.lane_of.resize(costs.size());
  for (const int c : order) {
    const auto [load, lane] = loads.top();
    loads.pop();
    p.lane_of[c] = lane;
    loads.emplace(load + costs[c], lane);
    p.makespan = std::max(p.makespan, load + costs[c]);
  }
  return p;
}

// All of a tick on the first lane; `solo`: it is so short that waking the others would take longer
// than they save.
TickSchedule on_one_lane(const Plan& plan, const std::vector<Chain>& chains, bool solo) {
  TickSchedule out;
  out.solo = solo;
  Superstep superstep;
  superstep.lanes.resize(plan.options.lanes);
  for (const Chain& chain : chains) {
    for (const Level& level : chain.levels) append_whole(plan, level, superstep.lanes[0]);
  }
  if (!superstep.lanes[0].empty()) out.supersteps.push_back(std::move(superstep));
  return out;
}

std::vector<double> rests(const std::vector<Chain>& chains) {
  std::vector<double> costs;
  for (const Chain& chain : chains) costs.push_back(chain.rest());
  return costs;
}

// Sets how many levels of every chain all lanes share; returns the length of the tick. One level
// after another, always of the chain with most left, becomes shared; packing is tried only where it
// could still win, and not endlessly: beyond the budget its lower bound is believed.
double share_levels(const Plan& plan, std::vector<Chain>& chains) {
  constexpr double kPackingBudget = 5e7;  // chains packed
  const int lanes = plan.options.lanes;
  using Heaviest = std::pair<double, int>;  // what is left of a chain, minus its index
  std::priority_queue<Heaviest> heaviest;
  double total = 0, packed = 0;
  for (size_t c = 0; c < chains.size(); ++c) {
    heaviest.emplace(chains[c].rest(), -static_cast<int>(c));
    total += chains[c].rest();
  }
  // To start the other lanes, and to wait for them.
  double shared = start_of(plan), best = -1;
  std::vector<int> order;  // chains whose next level became shared
  size_t best_taken = 0;
  for (;;) {
    const double most = heaviest.empty() ? 0 : heaviest.top().first;
    double time = shared + std::max(most, total / lanes);
    if (best >= 0 && shared >= best) break;  // it only grows
    const bool exact = chains.size() <= static_cast<size_t>(lanes);
    if (!exact && (best < 0 || time < best) && packed < kPackingBudget) {
      time = shared + pack_longest_first(rests(chains), lanes).makespan;
      packed += static_cast<double>(chains.size());
    } else if (exact) {
      time = shared + most;
    }
    if (best < 0 || time < best) best = time, best_taken = order.size();
    if (most <= 0) break;
    const int c = -heaviest.top().second;
    Chain& chain = chains[c];
    const Level& level = chain.levels[chain.shared++];
    heaviest.pop();
    heaviest.emplace(chain.rest(), -c);
    total -= level.cost;
    shared += share_level(plan, level).time;
    order.push_back(c);
  }
  for (; order.size() > best_taken; order.pop_back()) --chains[order.back()].shared;
  return best;
}

// Waves [0, waves.size()) of the chains by `starts`, each shared by all lanes.
std::vector<SharedLevel> share_waves(const Plan& plan, const std::vector<Chain>& chains,
                                     const std::vector<size_t>& starts) {
  std::vector<Level> waves;
  for (size_t c = 0; c < chains.size(); ++c) {
    const std::vector<Level>& levels = chains[c].levels;
    if (waves.size() < starts[c] + levels.size()) waves.resize(starts[c] + levels.size());
    for (size_t l = 0; l < levels.size(); ++l) {
      Level& wave = waves[starts[c] + l];
      wave.ops.insert(wave.ops.end(), levels[l].ops.begin(), levels[l].ops.end());
      wave.cost += levels[l].cost;
    }
  }
  std::vector<SharedLevel> shared;
  for (const Level& wave : waves) shared.push_back(share_level(plan, wave));
  return shared;
}

std::vector<size_t> level_starts(const std::vector<Chain>& chains) {
  std::vector<std::vector<double>> costs;
  for (const Chain& chain : chains) {
    std::vector<double>& levels = costs.emplace_back();
    for (const Level& level : chain.levels) levels.push_back(level.cost);
  }
  return wave_starts(costs);
}

// How a tick may run, and how long it takes.
struct Way {
  double time = 0;
  std::vector<Superstep> supersteps;
};

// How much of the time of what is left of a chain its weights come from memory.
double reading_share(const Plan& plan, const Chain& chain) {
  double reading = 0;
  for (size_t l = chain.shared; l < chain.levels.size(); ++l) {
    for (const int i : chain.levels[l].ops) reading += plan.ops[i].reading;
  }
  return chain.rest() > 0 ? reading / chain.rest() : 0;
}

// What is left of every chain, each on one lane. Every other lane begins with the chains that read
// most weights, the lanes between them end with those: so that not all wait for memory at once.
Superstep pack_rests(const Plan& plan, const std::vector<Chain>& chains) {
  const Packing packing = pack_longest_first(rests(chains), plan.options.lanes);
  std::vector<size_t> order(chains.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<double> shares;
  for (const Chain& chain : chains) shares.push_back(reading_share(plan, chain));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int lane = packing.lane_of[a], other = packing.lane_of[b];
    if (lane != other) return lane < other;
    return lane % 2 == 0 ? shares[a] > shares[b] : shares[a] < shares[b];
  });
  Superstep last;
  last.lanes.resize(plan.options.lanes);
  for (const size_t c : order) {
    for (size_t l = chains[c].shared; l < chains[c].levels.size(); ++l) {
      append_whole(plan, chains[c].levels[l], last.lanes[packing.lane_of[c]]);
    }
  }
  return last;
}

bool is_empty(const Superstep& superstep) {
  return std::all_of(superstep.lanes.begin(), superstep.lanes.end(),
                     [](const auto& lane) { return lane.empty(); });
}

// Levels of single chains first, then whatever is left of the chains.
Way by_chains(const Plan& plan, std::vector<Chain> chains) {
  Way way;
  way.time = share_levels(plan, chains);
  for (const Chain& chain : chains) {
    for (size_t l = 0; l < chain.shared; ++l) {
      append_superstep(share_level(plan, chain.levels[l]).superstep, way.supersteps);
    }
  }
  Superstep last = pack_rests(plan, chains);
  if (!is_empty(last)) append_superstep(std::move(last), way.supersteps);
  return way;
}

// Some waves of all chains first, as many as give the shortest tick, then what is left of them.
Way by_first_waves(const Plan& plan, std::vector<Chain> chains) {
  std::vector<SharedLevel> waves = share_waves(plan, chains, std::vector<size_t>(chains.size(), 0));
  double shared = start_of(plan);
  Way way;
  size_t best = 0;
  for (size_t w = 0; w <= waves.size(); ++w) {
    for (Chain& chain : chains) chain.shared = std::min(w, chain.levels.size());
    const double time = shared + pack_longest_first(rests(chains), plan.options.lanes).makespan;
    if (w == 0 || time < way.time) way.time = time, best = w;
    if (w < waves.size()) shared += waves[w].time;
  }
  for (Chain& chain : chains) chain.shared = std::min(best, chain.levels.size());
  for (size_t w = 0; w < best; ++w) {
    append_superstep(std::move(waves[w].superstep), way.supersteps);
  }
  Superstep last = pack_rests(plan, chains);
  if (!is_empty(last)) append_superstep(std::move(last), way.supersteps);
  return way;
}

// Nothing but waves, chains with few levels where others are light.
Way by_waves(const Plan& plan, const std::vector<Chain>& chains) {
  Way way;
  way.time = start_of(plan);
  for (SharedLevel& wave : share_waves(plan, chains, level_starts(chains))) {
    way.time += wave.time;
    append_superstep(std::move(wave.superstep), way.supersteps);
  }
  return way;
}

TickSchedule schedule_tick(const Plan& plan, const std::vector<Chain>& chains) {
  TickSchedule out;
  if (plan.options.lanes == 1) return on_one_lane(plan, chains, false);
  constexpr double kWaveBudget = 5e7;  // chains looked at
  double total = 0;
  size_t longest = 0;
  for (const Chain& chain : chains) {
    total += chain.rest();
    longest = std::max(longest, chain.levels.size());
  }
  Way best = by_chains(plan, chains);
  const auto take = [&](Way way) {
    if (way.time < best.time) best = std::move(way);
  };
  // The levels of a single chain are its waves.
  const double looks =
      chains.size() > 1 ? static_cast<double>(longest * chains.size()) : kWaveBudget;
  if (looks < kWaveBudget) take(by_first_waves(plan, chains));
  if (looks * static_cast<double>(longest) < kWaveBudget) take(by_waves(plan, chains));
  if (total <= best.time) return on_one_lane(plan, chains, true);
  out.supersteps = std::move(best.supersteps);
  return out;
}

// Chains of the ops given, which are in the order of the plan.
std::vector<Chain> chains_of(const Plan& plan, const std::vector<int>& ops) {
  std::map<int, std::map<int, Level>> by_group;
  for (const int i : ops) {
    const PlanOp& op = plan.ops[i];
    Level& level = by_group[op.group][op.level];
    level.ops.push_back(i);
    level.cost += op.cost;
  }
  std::vector<Chain> chains;
  for (auto& [group, levels] : by_group) {
    Chain chain;
    for (auto& [index, level] : levels) chain.levels.push_back(std::move(level));
    chain.cost_from.resize(chain.levels.size() + 1);
    for (size_t l = chain.levels.size(); l-- > 0;) {
      chain.cost_from[l] = chain.cost_from[l + 1] + chain.levels[l].cost;
    }
    chains.push_back(std::move(chain));
  }
  return chains;
}

// Which ops are due in every tick of the hyper-period, as lists of clocks that are.
struct Due {
  std::map<std::pair<int64_t, int64_t>, int> clocks;  // period, origin mod period -> index
  std::vector<std::vector<int>> by_tick;              // indices of clocks
  std::vector<std::vector<int>> ops;                  // by clock
};

Due due_ops(const Plan& plan) {
  Due due;
  due.by_tick.resize(static_cast<size_t>(plan.hyper_period));
  for (size_t i = 0; i < plan.ops.size(); ++i) {
    const Clock& c = plan.ops[i].clock;
    const auto [it, added] = due.clocks.try_emplace({c.period, c.origin % c.period},
                                                    static_cast<int>(due.clocks.size()));
    if (added) {
      due.ops.emplace_back();
      for (int64_t t = c.origin % c.period; t < plan.hyper_period; t += c.period) {
        due.by_tick[static_cast<size_t>(t)].push_back(it->second);
      }
    }
    due.ops[it->second].push_back(static_cast<int>(i));
  }
  return due;
}

Status check_entries(int64_t entries, const Plan& plan) {
  if (entries <= kMaxScheduleEntries) return {};
  return failed(Code::graph, "compile", "the schedule of the hyper-period is too large",
                "more than " + std::to_string(kMaxScheduleEntries) + " runs of operations in " +
                    std::to_string(plan.hyper_period) + " ticks",
                "at most " + std::to_string(kMaxScheduleEntries),
                "Choose temporal strides with a smaller common multiple, or use fewer operations.");
}

}  // namespace

int useful_lanes(const Plan& plan, int most) {
  const Due due = due_ops(plan);
  std::vector<double> work(due.ops.size(), 0.0);  // by clock
  for (size_t c = 0; c < work.size(); ++c) {
    for (const int i : due.ops[c]) work[c] += plan.ops[i].cost;
  }
  double busiest = 0;
  for (const std::vector<int>& clocks : due.by_tick) {
    double sum = 0;
    for (const int c : clocks) sum += work[c];
    busiest = std::max(busiest, sum);
  }
  const double barriers = busiest / (start_of(plan) / 2);
  int lanes = 1;
  while (lanes < most && (lanes + 1.0) * lanes <= barriers) ++lanes;
  return lanes;
}

int lanes_with_work(const Plan& plan) {
  size_t lanes = 1;
  for (const TickSchedule& tick : plan.schedule) {
    for (const Superstep& superstep : tick.supersteps) {
      for (size_t lane = lanes; lane < superstep.lanes.size(); ++lane) {
        if (!superstep.lanes[lane].empty()) lanes = lane + 1;
      }
    }
  }
  return static_cast<int>(lanes);
}

Status make_schedule(Plan& plan) {
  const Due due = due_ops(plan);
  int64_t entries = 0;
  for (const auto& clocks : due.by_tick) {
    for (const int c : clocks) entries += static_cast<int64_t>(due.ops[c].size());
  }
  PVNET_TRY(check_entries(entries, plan));
  plan.schedule.clear();
  plan.schedule.reserve(due.by_tick.size());
  std::map<std::vector<int>, size_t> made;  // clocks due -> a tick that has their schedule
  entries = 0;
  for (const std::vector<int>& clocks : due.by_tick) {
    const auto [it, added] = made.try_emplace(clocks, plan.schedule.size());
    if (added) {
      std::vector<int> ops;
      for (const int c : clocks) ops.insert(ops.end(), due.ops[c].begin(), due.ops[c].end());
      std::sort(ops.begin(), ops.end());
      std::vector<Chain> chains = chains_of(plan, ops);
      plan.schedule.push_back(schedule_tick(plan, chains));
    } else {
      plan.schedule.push_back(plan.schedule[it->second]);
    }
    // Tiles of an operation on several lanes, and lists of lanes, take room as well.
    for (const Superstep& superstep : plan.schedule.back().supersteps) {
      entries += static_cast<int64_t>(superstep.lanes.size());
      for (const auto& lane : superstep.lanes) entries += static_cast<int64_t>(lane.size());
    }
    PVNET_TRY(check_entries(entries / 4, plan));
  }
  return {};
}

}  // namespace pvnet
