// SPDX-License-Identifier: Apache-2.0
#include "plan/device/hazards.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "graph/firing.hpp"
#include "plan/layout.hpp"
#include "plan/resolve.hpp"

namespace pvnet::device {
namespace {

// Beyond so many ticks every read within a group counts as one of the tick.
constexpr int64_t kMostTicks = 64;
// Beyond so many launches edges are kept that others imply.
constexpr size_t kMostReduced = 8192;

bool is_due_in(const Clock& clock, int64_t phase) {
  return (phase - clock.origin % clock.period + clock.period) % clock.period == 0;
}

// Whether the newest tap of the segment finds what is written in the very tick, at some tick of the
// phase in which the reader is due.
bool same_tick(const Plan& plan, const PlanOp& reader, const Segment& segment, int phase) {
  const Clock& clock = plan.values[static_cast<size_t>(segment.value)].clock;
  const auto at = [&](int64_t tick) {
    return is_due(clock, tick) &&
           resolve_firing_settled(segment, tick, 0) == firing_at(clock, tick, 0);
  };
  const int64_t start = settled_tick(plan);
  if (phase >= 0) return at(start + phase);
  int64_t round = std::lcm(reader.clock.period, clock.period);
  for (const Hop& hop : segment.hops) round = std::lcm(round, hop.clock.period);
  if (round / reader.clock.period > kMostTicks) return true;
  const int64_t first = start + reader.clock.origin % reader.clock.period;
  for (int64_t t = first; t < first + round; t += reader.clock.period) {
    if (at(t)) return true;
  }
  return false;
}

// Who has touched pieces of a group's scratch memory since they were last written.
class Touched {
 public:
  // Those who must be done before `op` writes [lo, hi).
  void write(int64_t lo, int64_t hi, int op, std::vector<int>& before) {
    split(lo);
    split(hi);
    const auto first = pieces_.lower_bound(lo), last = pieces_.lower_bound(hi);
    for (auto it = first; it != last; ++it) {
      before.insert(before.end(), it->second.users.begin(), it->second.users.end());
    }
    pieces_.erase(first, last);
    pieces_[lo] = {hi, {op}};
  }
  void read(int64_t lo, int64_t hi, int op) {
    for (auto it = pieces_.lower_bound(lo); it != pieces_.end() && it->first < hi; ++it) {
      it->second.users.push_back(op);
    }
  }

 private:
  struct Piece {
    int64_t end = 0;
    std::vector<int> users;
  };
  std::map<int64_t, Piece> pieces_;  // by their first byte

  void split(int64_t at) {
    auto it = pieces_.lower_bound(at);
    if (it == pieces_.begin()) return;
    --it;
    if (it->second.end <= at) return;
    pieces_[at] = it->second;
    it->second.end = at;
  }
};

}  // namespace

std::vector<int> due_ops(const Plan& plan, int phase) {
  std::vector<int> ops;
  for (size_t i = 0; i < plan.ops.size(); ++i) {
    if (phase < 0 || is_due_in(plan.ops[i].clock, phase)) ops.push_back(static_cast<int>(i));
  }
  std::stable_sort(ops.begin(), ops.end(), [&](int a, int b) {
    return plan.ops[static_cast<size_t>(a)].level < plan.ops[static_cast<size_t>(b)].level;
  });
  return ops;
}

std::vector<std::vector<int>> hazards(const Plan& plan, int phase) {
  std::vector<int> writer(plan.values.size(), -1);
  const std::vector<int> ops = due_ops(plan, phase);
  for (const int i : ops)
    writer[static_cast<size_t>(plan.ops[static_cast<size_t>(i)].out_value)] = i;
  std::vector<std::vector<int>> before(plan.ops.size());
  std::map<int, Touched> scratch;  // by group
  for (const int i : ops) {
    const PlanOp& op = plan.ops[static_cast<size_t>(i)];
    std::vector<int>& mine = before[static_cast<size_t>(i)];
    for (const auto& operand : op.operands) {
      for (const Segment& s : operand) {
        const int from = writer[static_cast<size_t>(s.value)];
        if (from < 0) continue;
        const PlanOp& w = plan.ops[static_cast<size_t>(from)];
        if (w.group != op.group || w.level >= op.level) continue;  // of another tick
        if (same_tick(plan, op, s, phase)) mine.push_back(from);
      }
    }
  }
  // Level by level: what an op of a level reads, none of the same level writes.
  for (const int i : ops) {
    const PlanOp& op = plan.ops[static_cast<size_t>(i)];
    Touched& touched = scratch[op.group];
    for (const auto& operand : op.operands) {
      for (const Segment& s : operand) {
        const Value& v = plan.values[static_cast<size_t>(s.value)];
        if (!v.persistent) touched.read(v.offset, v.offset + v.slot_bytes, i);
      }
    }
    const Value& out = plan.values[static_cast<size_t>(op.out_value)];
    if (out.persistent) continue;
    touched.write(out.offset, out.offset + out.slot_bytes, i, before[static_cast<size_t>(i)]);
  }
  for (auto& list : before) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  return before;
}

void reduce(std::vector<std::vector<int>>& after) {
  const size_t n = after.size(), words = (n + 63) / 64;
  for (auto& list : after) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  if (n > kMostReduced) return;
  std::vector<uint64_t> reached(n * words, 0);  // [launch]: those before it
  for (size_t i = 0; i < n; ++i) {
    uint64_t* const mine = &reached[i * words];
    std::vector<int> kept;
    for (auto it = after[i].rbegin(); it != after[i].rend(); ++it) {
      const auto b = static_cast<size_t>(*it);
      if ((mine[b / 64] >> (b % 64) & 1u) != 0) continue;  // before another one that is kept
      kept.push_back(*it);
      mine[b / 64] |= uint64_t{1} << (b % 64);
      for (size_t w = 0; w < words; ++w) mine[w] |= reached[b * words + w];
    }
    after[i].assign(kept.rbegin(), kept.rend());
  }
}

}  // namespace pvnet::device
