// SPDX-License-Identifier: Apache-2.0
// Proves a plan by running it on paper: no floats move, but every ring slot knows which firing it
// holds and every byte of scratch knows whose it is. Shares no logic with schedule.cpp and
// layout.cpp, which it judges; only the definition of a read (resolve_firing) is common ground.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "graph/firing.hpp"
#include "plan/op_params.hpp"

#include <pvnet/plan.hpp>

namespace pvnet {
namespace {

struct Slot {
  int64_t firing = -1;  // -1: garbage
};

struct Write {
  int lane = 0;
  int tiles = 0;  // of the op's tiles, how many this phase wrote
  bool one_lane = true;
};

class Checker {
 public:
  explicit Checker(const Plan& plan) : plan_(plan), slots_(plan.values.size()) {}

  Status run() {
    PVNET_TRY(check_memory());
    PVNET_TRY(check_shape_of_schedule());
    PVNET_TRY(check_depths());
    for (int64_t t = 0; t < ticks_to_play(); ++t) PVNET_TRY(check_tick(t));
    return {};
  }

 private:
  const Plan& plan_;
  std::vector<std::vector<Slot>> slots_;    // [value][slot]
  std::vector<std::vector<int>> overlaps_;  // scratch values that share memory with value v
  std::vector<int> writer_;                 // op that writes value v, -1: a frame

  std::string name(int value) const {
    return "'" + plan_.graph.nodes()[plan_.values[value].node].name + "'";
  }
  std::string op_name(int op) const {
    return "'" + plan_.graph.nodes()[plan_.ops[op].node].name + "'";
  }
  static Status bad(const std::string& what, const std::string& got, const std::string& expected) {
    return {Code::internal, "[validate] " + what + ": got " + got + ", expected " + expected +
                                ". Do report this plan as a bug of pvnet."};
  }

  Status check_memory() {
    const size_t n = plan_.values.size();
    overlaps_.resize(n);
    writer_.assign(n, -1);
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      const int v = plan_.ops[i].out_value;
      if (v < 0 || v >= static_cast<int>(n))
        return bad("output value", std::to_string(v), "a value");
      if (writer_[v] != -1) return bad("writers of value " + name(v), "two", "one");
      writer_[v] = static_cast<int>(i);
    }
    for (size_t v = 0; v < n; ++v) {
      const Value& a = plan_.values[v];
      if (a.depth < 1)
        return bad("ring depth of " + name(v), std::to_string(a.depth), "at least 1");
      if (!a.persistent && a.depth != 1) {
        return bad("ring depth of scratch value " + name(v), std::to_string(a.depth), "1");
      }
      const int64_t slot = (a.shape.h + 2 * a.halo_h) * a.row_stride;
      if (a.pixel_stride < a.shape.c ||
          a.row_stride < (a.shape.w + 2 * a.halo_w) * a.pixel_stride || a.slot_stride < slot) {
        return bad("strides of " + name(v), "overlapping pixels", "room for every pixel");
      }
      const int64_t size = a.depth * a.slot_stride;
      const int64_t room = a.persistent ? plan_.state_floats : plan_.scratch_floats;
      if (a.offset < 0 || a.offset + size > room) {
        return bad("memory of " + name(v), std::to_string(a.offset + size) + " floats",
                   "at most " + std::to_string(room));
      }
      for (size_t u = 0; u < v; ++u) {
        const Value& b = plan_.values[u];
        if (a.persistent != b.persistent) continue;
        if (a.offset + size <= b.offset || b.offset + b.depth * b.slot_stride <= a.offset) continue;
        if (a.persistent) {
          return bad("ring memory of " + name(v) + " and " + name(u), "an overlap", "none");
        }
        overlaps_[v].push_back(static_cast<int>(u));
        overlaps_[u].push_back(static_cast<int>(v));
      }
      slots_[v].resize(a.depth);
    }
    return {};
  }

  // Until every ring has gone round once and the schedule has repeated; very deep rings (a delay of
  // minutes) are left to check_depths().
  int64_t ticks_to_play() const {
    int64_t round = 0;
    for (const Value& v : plan_.values) {
      round = std::max(round, v.clock.origin + (v.depth + int64_t{1}) * v.clock.period);
    }
    return plan_.settle_ticks + 2 * plan_.hyper_period + std::min<int64_t>(round, 5000);
  }

  // In the long run: all that is read fits between the oldest and the newest firing of the ring.
  Status check_depths() const {
    const int64_t far = (int64_t{1} << 40) / plan_.hyper_period * plan_.hyper_period;
    for (int64_t t = far; t < far + plan_.hyper_period; ++t) {
      for (size_t i = 0; i < plan_.ops.size(); ++i) {
        const PlanOp& op = plan_.ops[i];
        if (!is_due(op.clock, t)) continue;
        for (const auto& operand : op.operands) {
          for (const Segment& s : operand) {
            const Value& v = plan_.values[s.value];
            const int64_t oldest = resolve_firing(s, t, int64_t{op.taps - 1} * op.dilation);
            const int64_t span = firing_at(v.clock, t, 0) - oldest + 1;
            if (span > v.depth) {
              return bad(
                  "ring depth of " + name(s.value) + " read by " + op_name(static_cast<int>(i)),
                  std::to_string(v.depth), "at least " + std::to_string(span));
            }
          }
        }
      }
    }
    return {};
  }

  Status check_shape_of_schedule() const {
    if (static_cast<int64_t>(plan_.schedule.size()) != plan_.hyper_period) {
      return bad("schedule length", std::to_string(plan_.schedule.size()),
                 std::to_string(plan_.hyper_period));
    }
    for (const TickSchedule& s : plan_.schedule) {
      if (s.solo && s.phases.size() > 1) {
        return bad("phases of a tick on one lane", std::to_string(s.phases.size()), "at most one");
      }
      for (const Phase& p : s.phases) {
        for (size_t lane = 1; s.solo && lane < p.lanes.size(); ++lane) {
          if (!p.lanes[lane].empty())
            return bad("work of a lane that is not woken", "some", "none");
        }
        if (static_cast<int>(p.lanes.size()) != plan_.options.lanes) {
          return bad("lanes of a phase", std::to_string(p.lanes.size()),
                     std::to_string(plan_.options.lanes));
        }
        for (const auto& lane : p.lanes) {
          for (const TileRange& r : lane) {
            if (r.op < 0 || r.op >= static_cast<int>(plan_.ops.size()) || r.lo < 0 ||
                r.lo >= r.hi || r.hi > plan_.ops[r.op].tiles) {
              return bad("tile range", std::to_string(r.lo) + ".." + std::to_string(r.hi),
                         "tiles of an op");
            }
          }
        }
      }
    }
    return {};
  }

  // A write destroys what else lies in that memory.
  void write(int value, int64_t firing) {
    slots_[value][firing % plan_.values[value].depth].firing = firing;
    for (const int other : overlaps_[value]) slots_[other][0].firing = -1;
  }

  Status check_read(int reader, int lane, const Segment& s, int64_t firing,
                    const std::map<int, Write>& writes_now) {
    const Value& v = plan_.values[s.value];
    const int slot = static_cast<int>(firing % v.depth);
    const std::string who = reader < 0 ? "an output" : op_name(reader);
    if (reader >= 0) {
      // Harmless by luck where the reader happens to run first; a ring is deep enough or it is not.
      const int64_t newest = firing_at(v.clock, tick_, 0);
      if (is_due(v.clock, tick_) && firing != newest && slot == newest % v.depth) {
        return bad("slot of " + name(s.value) + " read by " + who, "written in the same tick",
                   "a deeper ring");
      }
      const auto touched = [&](int value) {
        const auto w = writes_now.find(value);
        return w != writes_now.end() && (!w->second.one_lane || w->second.lane != lane);
      };
      // Another lane writes this slot, or memory under it, in the same phase.
      if (touched(s.value) && writer_[s.value] >= 0 && written_slot(s.value) == slot) {
        return bad("slot of " + name(s.value) + " read by " + who, "a write by another lane",
                   "a barrier between");
      }
      for (const int other : overlaps_[s.value]) {
        if (touched(other)) {
          return bad("scratch of " + name(s.value) + " read by " + who,
                     "a write of " + name(other) + " by another lane", "a barrier between");
        }
      }
    }
    if (slots_[s.value][slot].firing != firing) {
      return bad(
          "firing of " + name(s.value) + " read by " + who + " at tick " + std::to_string(tick_),
          std::to_string(slots_[s.value][slot].firing), std::to_string(firing));
    }
    return {};
  }

  int written_slot(int value) const {
    const Value& v = plan_.values[value];
    return static_cast<int>(firing_at(v.clock, tick_, 0) % v.depth);
  }

  Status check_tick(int64_t t) {
    tick_ = t;
    for (const int v : plan_.input_values) write(v, t);
    std::vector<std::vector<char>> covered(plan_.ops.size());
    std::vector<int> left(plan_.ops.size());
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      covered[i].assign(plan_.ops[i].tiles, 0);
      left[i] = plan_.ops[i].tiles;
    }
    for (const Phase& phase : plan_.schedule[t % plan_.hyper_period].phases) {
      PVNET_TRY(check_phase(phase, covered, left));
    }
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      const bool due = is_due(plan_.ops[i].clock, t);
      if (due && left[i] != 0) {
        return bad("tiles of " + op_name(static_cast<int>(i)) + " at tick " + std::to_string(t),
                   std::to_string(left[i]) + " not computed", "all of them once");
      }
    }
    for (const OutputFacts& o : plan_.outputs) {
      for (const Segment& s : o.source) {
        const int64_t firing = resolve_firing(s, t, 0);
        if (firing >= 0) PVNET_TRY(check_read(-1, 0, s, firing, {}));
      }
    }
    return {};
  }

  Status check_phase(const Phase& phase, std::vector<std::vector<char>>& covered,
                     std::vector<int>& left) {
    // Who writes what in this phase, before anybody reads.
    std::map<int, Write> writes;
    for (size_t lane = 0; lane < phase.lanes.size(); ++lane) {
      for (const TileRange& r : phase.lanes[lane]) {
        const PlanOp& op = plan_.ops[r.op];
        if (!is_due(op.clock, tick_)) {
          if (tick_ >= op.clock.origin) {
            return bad("op " + op_name(r.op) + " at tick " + std::to_string(tick_), "scheduled",
                       "idle, it is not due");
          }
          continue;
        }
        auto [it, fresh] = writes.try_emplace(op.out_value, Write{static_cast<int>(lane), 0, true});
        if (!fresh && it->second.lane != static_cast<int>(lane)) it->second.one_lane = false;
        it->second.tiles += r.hi - r.lo;
      }
    }
    for (const auto& [v, w] : writes) {
      for (const int other : overlaps_[v]) {
        const auto o = writes.find(other);
        if (o != writes.end() && (!o->second.one_lane || !w.one_lane || o->second.lane != w.lane)) {
          return bad("scratch of " + name(v), "written together with " + name(other),
                     "one writer at a time");
        }
      }
    }
    std::set<int> done;
    for (size_t lane = 0; lane < phase.lanes.size(); ++lane) {
      for (const TileRange& r : phase.lanes[lane]) {
        const PlanOp& op = plan_.ops[r.op];
        if (!is_due(op.clock, tick_)) continue;
        for (const auto& operand : op.operands) {
          for (const Segment& s : operand) {
            for (int tap = 0; tap < op.taps; ++tap) {
              const int64_t firing = resolve_firing(s, tick_, int64_t{tap} * op.dilation);
              if (firing < 0) continue;
              PVNET_TRY(check_read(r.op, static_cast<int>(lane), s, firing, writes));
            }
          }
        }
        for (int tile = r.lo; tile < r.hi; ++tile) {
          if (covered[r.op][tile]++) {
            return bad("tile " + std::to_string(tile) + " of " + op_name(r.op), "computed twice",
                       "once");
          }
        }
        left[r.op] -= r.hi - r.lo;
        // The value is whole for later readers: of this lane at once, of others after the barrier.
        if (left[r.op] == 0) {
          done.insert(r.op);
          write(op.out_value, firing_at(op.clock, tick_, 0));
        } else {
          slots_[op.out_value][firing_at(op.clock, tick_, 0) % plan_.values[op.out_value].depth]
              .firing = -1;
          for (const int other : overlaps_[op.out_value]) slots_[other][0].firing = -1;
        }
      }
    }
    return {};
  }

  int64_t tick_ = 0;
};

}  // namespace

Status validate(const Plan& plan) { return Checker(plan).run(); }

}  // namespace pvnet
