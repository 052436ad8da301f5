// SPDX-License-Identifier: Apache-2.0
#include "plan/layout.hpp"

#include <algorithm>
#include <map>

#include "graph/firing.hpp"
#include "plan/resolve.hpp"

namespace pvnet {
namespace {

constexpr int64_t kMaxRowFloats = int64_t{1} << 36;  // 256 GiB: beyond it somebody made a mistake

struct Lifetime {
  int value = -1;
  int group = 0, first = 0, last = 0;  // levels, inclusive
  int64_t size = 0;
};

// Greedy by size: the largest value first, each at the lowest offset that is free over its
// lifetime. Values of different groups live at once and never share.
int64_t place(std::vector<Lifetime> lives, std::vector<Value>& values, int64_t base) {
  std::stable_sort(lives.begin(), lives.end(),
                   [](const Lifetime& a, const Lifetime& b) { return a.size > b.size; });
  std::vector<const Lifetime*> placed;
  int64_t end = base;
  for (const Lifetime& life : lives) {
    std::vector<std::pair<int64_t, int64_t>> taken;
    for (const Lifetime* p : placed) {
      if (p->first <= life.last && life.first <= p->last) {
        taken.emplace_back(values[p->value].offset, values[p->value].offset + p->size);
      }
    }
    std::sort(taken.begin(), taken.end());
    int64_t at = base;
    for (const auto& [lo, hi] : taken) {
      if (at + life.size <= lo) break;
      at = std::max(at, hi);
    }
    values[life.value].offset = at;
    end = std::max(end, at + life.size);
    placed.push_back(&life);
  }
  return end;
}

}  // namespace

std::vector<std::vector<Reader>> readers_of_values(const Plan& plan) {
  std::vector<std::vector<Reader>> readers(plan.values.size());
  for (size_t i = 0; i < plan.ops.size(); ++i) {
    const PlanOp& op = plan.ops[i];
    for (const auto& operand : op.operands) {
      for (const Segment& s : operand) {
        readers[s.value].push_back({static_cast<int>(i), op.clock, op.taps, op.dilation, &s});
      }
    }
  }
  for (const OutputFacts& o : plan.outputs) {
    for (const Segment& s : o.source) readers[s.value].push_back({-1, Clock{1, 0}, 1, 1, &s});
  }
  return readers;
}

int64_t settled_tick(const Plan& plan) {
  const int64_t far = int64_t{1} << 40;
  return far / plan.hyper_period * plan.hyper_period;
}

int64_t needed_depth(const Plan& plan, const Value& value, const Reader& reader) {
  int64_t depth = 1;
  const int64_t start = settled_tick(plan);
  for (int64_t t = start; t < start + plan.hyper_period; ++t) {
    if (!is_due(reader.clock, t)) continue;
    const int64_t newest = firing_at(value.clock, t, 0);
    const int64_t back = int64_t{reader.taps - 1} * reader.dilation;
    const int64_t oldest = resolve_firing_settled(*reader.segment, t, back);
    depth = std::max(depth, newest - oldest + 1);
  }
  return depth;
}

Status lay_out(Plan& plan) {
  const auto readers = readers_of_values(plan);
  std::vector<const PlanOp*> writer(plan.values.size(), nullptr);
  for (const PlanOp& op : plan.ops) writer[op.out_value] = &op;

  std::map<int, std::vector<Lifetime>> scratch;  // by group
  int64_t state = 0;
  for (size_t v = 0; v < plan.values.size(); ++v) {
    Value& value = plan.values[v];
    int64_t depth = 1;
    bool held = writer[v] == nullptr;  // frames are written before the tick: keep them apart
    int last = held ? 0 : writer[v]->level;
    for (const Reader& r : readers[v]) {
      depth = std::max(depth, needed_depth(plan, value, r));
      if (r.op < 0 || held) {
        held = true;
        continue;
      }
      const PlanOp& op = plan.ops[r.op];
      last = std::max(last, op.level);
      // Read in the very tick it was written, always, and by the group that wrote it.
      int64_t delay = 0;
      for (const Hop& hop : r.segment->hops) delay += hop.delay;
      const bool same_clocks = std::all_of(r.segment->hops.begin(), r.segment->hops.end(),
                                           [&](const Hop& hop) { return hop.clock == op.clock; });
      if (op.group != writer[v]->group || delay != 0 || r.taps != 1 || !same_clocks ||
          op.clock != value.clock) {
        held = true;
      }
    }
    if (depth > (int64_t{1} << 30) || depth * value.slot_stride > kMaxRowFloats) {
      return {Code::graph, "[compile] the ring of node '" + plan.graph.nodes()[value.node].name +
                               "' does not fit any memory: got " + std::to_string(depth) +
                               " slots, expected fewer. Do shorten its delays or dilation."};
    }
    value.depth = static_cast<int>(depth);
    value.persistent = held || depth > 1;
    if (value.persistent) {
      value.offset = state;
      state += depth * value.slot_stride;
    } else {
      scratch[writer[v]->group].push_back(
          {static_cast<int>(v), writer[v]->group, writer[v]->level, last, value.slot_stride});
    }
  }
  int64_t end = 0;
  for (auto& [group, lives] : scratch) end = place(std::move(lives), plan.values, end);
  if (state > kMaxRowFloats || end > kMaxRowFloats) {
    return {Code::graph, "[compile] the network does not fit any memory: got " +
                             std::to_string((state + end) / (1 << 28)) +
                             " GiB per batch row, expected less than 256. Do use a smaller input."};
  }
  plan.state_floats = state;
  plan.scratch_floats = end;
  return {};
}

}  // namespace pvnet
