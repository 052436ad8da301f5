// SPDX-License-Identifier: Apache-2.0
// Schedule: every tick of the hyper-period is walked once, superstep by superstep and lane by lane,
// over the ops that are due in it. Ticks before everything has begun run a part of the same lists.
//
// Work of two lanes between two barriers may happen in any order, so first the memory that they
// touch must be disjoint; then the lanes can be walked one after the other.
#include <algorithm>
#include <map>

#include "plan/proof/proof.hpp"

namespace pvnet::proof {
namespace {

// Who touches memory between two barriers: a lane, or all lanes together that make one value.
struct Touch {
  int64_t lo = 0, hi = 0;  // floats of scratch
  int agent = 0;
  bool write = false;
};

// The furthest ends so far of two different agents.
class Furthest {
 public:
  void add(int64_t end, int agent) {
    if (agent == agent_[0]) {
      end_[0] = std::max(end_[0], end);
    } else if (end > end_[0]) {
      end_[1] = end_[0], agent_[1] = agent_[0];
      end_[0] = end, agent_[0] = agent;
    } else if (end > end_[1]) {
      end_[1] = end, agent_[1] = agent;
    }
  }
  int64_t of_others(int agent) const { return agent == agent_[0] ? end_[1] : end_[0]; }

 private:
  int64_t end_[2] = {-1, -1};
  int agent_[2] = {-1, -1};
};

bool conflict(std::vector<Touch>& touches) {
  std::sort(touches.begin(), touches.end(),
            [](const Touch& a, const Touch& b) { return a.lo < b.lo; });
  Furthest all, writes;
  for (const Touch& t : touches) {
    if ((t.write ? all : writes).of_others(t.agent) > t.lo) return true;
    all.add(t.hi, t.agent);
    if (t.write) writes.add(t.hi, t.agent);
  }
  return false;
}

// Which value the floats of scratch hold.
class Scratch {
 public:
  explicit Scratch(size_t values) : whole_(values, false) {}

  void forget() {
    for (const auto& [lo, room] : rooms_) whole_[static_cast<size_t>(room.value)] = false;
    rooms_.clear();
  }
  bool whole(int value) const { return whole_[static_cast<size_t>(value)]; }
  void claim(int value, int64_t lo, int64_t hi) {
    auto it = rooms_.lower_bound(lo);
    if (it != rooms_.begin() && std::prev(it)->second.hi > lo) --it;
    while (it != rooms_.end() && it->first < hi) {
      whole_[static_cast<size_t>(it->second.value)] = false;
      it = rooms_.erase(it);
    }
    rooms_[lo] = {hi, value};
    whole_[static_cast<size_t>(value)] = true;
  }

 private:
  struct Room {
    int64_t hi = 0;
    int value = -1;
  };
  std::map<int64_t, Room> rooms_;  // by their first float; they do not overlap
  std::vector<bool> whole_;
};

class Schedule {
 public:
  explicit Schedule(const Proof& proof)
      : p_(proof), plan_(proof.plan), scratch_(plan_.values.size()), work_(plan_.ops.size()) {}

  Status run() {
    std::vector<int64_t> due(static_cast<size_t>(plan_.hyper_period), 0);  // ops, by tick
    for (const PlanOp& op : plan_.ops) {
      for (int64_t t = op.clock.origin % op.clock.period; t < plan_.hyper_period;
           t += op.clock.period) {
        ++due[static_cast<size_t>(t)];
      }
    }
    for (tick_ = 0; tick_ < plan_.hyper_period; ++tick_) {
      const TickSchedule& s = plan_.schedule[static_cast<size_t>(tick_)];
      PVNET_TRY(shape(s));
      PVNET_TRY(walk(s));
      PVNET_TRY(all_done(due[static_cast<size_t>(tick_)]));
    }
    return {};
  }

 private:
  struct Work {  // of one op in one tick
    int64_t tick = -1;
    int64_t tiles = 0;            // done so far
    int superstep = 0, lane = 0;  // where the last of them were; lane -1: on several
  };

  const Proof& p_;
  const Plan& plan_;
  Scratch scratch_;
  std::vector<Work> work_;        // [op]
  std::vector<int> begun_;        // ops with work in this tick
  std::vector<TileRange> parts_;  // ranges of this tick that are not whole ops
  std::vector<int> maker_;        // [value]; the lane that makes it in this superstep, -1: several
  std::vector<int64_t> maker_stamp_;  // [value]; the superstep that maker_ is of
  int64_t stamp_ = 0;
  std::vector<Touch> touches_;
  int64_t tick_ = 0;

  const PlanOp& op_at(int op) const { return plan_.ops[static_cast<size_t>(op)]; }
  const Value& value_at(int value) const { return plan_.values[static_cast<size_t>(value)]; }
  std::string when() const { return " at tick " + std::to_string(tick_) + " of the hyper-period"; }
  std::string name(int op) const { return p_.op_name(static_cast<size_t>(op)); }

  Status shape(const TickSchedule& s) const {
    if (s.solo && s.supersteps.size() > 1) {
      return wrong("supersteps of a tick on one lane", std::to_string(s.supersteps.size()),
                   "at most one");
    }
    for (const Superstep& superstep : s.supersteps) {
      if (static_cast<int>(superstep.lanes.size()) != plan_.options.lanes) {
        return wrong("lanes of a superstep" + when(), std::to_string(superstep.lanes.size()),
                     std::to_string(plan_.options.lanes));
      }
      for (size_t lane = 0; lane < superstep.lanes.size(); ++lane) {
        if (s.solo && lane > 0 && !superstep.lanes[lane].empty()) {
          return wrong("work of a lane that is not woken" + when(), "some", "none");
        }
        for (const TileRange& r : superstep.lanes[lane]) PVNET_TRY(range(r));
      }
    }
    return {};
  }

  Status range(const TileRange& r) const {
    if (r.op < 0 || r.op >= static_cast<int>(plan_.ops.size())) {
      return wrong("op of a tile range" + when(), std::to_string(r.op), "an op");
    }
    if (r.lo < 0 || r.lo >= r.hi || r.hi > op_at(r.op).tiles) {
      return wrong("tiles of " + name(r.op) + when(),
                   std::to_string(r.lo) + ".." + std::to_string(r.hi),
                   "some of 0.." + std::to_string(op_at(r.op).tiles));
    }
    if ((tick_ - op_at(r.op).clock.origin) % op_at(r.op).clock.period != 0) {
      return wrong("op " + name(r.op) + when(), "scheduled", "idle, it is not due");
    }
    return {};
  }

  Status walk(const TickSchedule& s) {
    scratch_.forget();
    begun_.clear();
    parts_.clear();
    for (size_t k = 0; k < s.supersteps.size(); ++k) {
      const auto& lanes = s.supersteps[k].lanes;
      PVNET_TRY(side_by_side(lanes));
      for (size_t lane = 0; lane < lanes.size(); ++lane) {
        for (const TileRange& r : lanes[lane]) {
          PVNET_TRY(reads(r, static_cast<int>(k), static_cast<int>(lane)));
          PVNET_TRY(write(r, static_cast<int>(k), static_cast<int>(lane)));
          PVNET_TRY(operands_survive(r));
        }
      }
    }
    return {};
  }

  // What is read of this tick is complete: by this lane, or before a barrier.
  Status reads(const TileRange& r, int superstep, int lane) const {
    const auto op = static_cast<size_t>(r.op);
    for (size_t i = p_.reads_begin(op); i < p_.reads_end[op]; ++i) {
      const int value = p_.reads[i].segment->value;
      const int writer = p_.writer_of[static_cast<size_t>(value)];
      if (writer < 0 || !sees_this_tick(p_.reads[i])) continue;
      const Work& w = work_[static_cast<size_t>(writer)];
      if (w.tick != tick_ || w.tiles != op_at(writer).tiles) {
        return wrong("value of " + p_.name(value) + " read by " + name(r.op) + when(), "a part",
                     "all of it");
      }
      if (w.superstep < superstep || w.lane == lane) continue;
      return wrong("value of " + p_.name(value) + " read by " + name(r.op) + when(),
                   "a write by another lane", "a barrier between");
    }
    return {};
  }

  bool sees_this_tick(const Read& read) const {
    if (read.same_tick != SameTick::sometimes) return read.same_tick == SameTick::always;
    return reads_what_is_due(*read.segment, value_at(read.segment->value).clock, tick_);
  }

  Status write(const TileRange& r, int superstep, int lane) {
    const PlanOp& op = op_at(r.op);
    const Value& v = value_at(op.out_value);
    Work& w = work_[static_cast<size_t>(r.op)];
    if (w.tick != tick_) {
      w = {tick_, 0, superstep, lane};
      begun_.push_back(r.op);
      if (!v.persistent) scratch_.claim(op.out_value, v.offset, v.offset + v.slot_bytes);
    } else if (!v.persistent && !scratch_.whole(op.out_value)) {
      return wrong("scratch of " + p_.name(op.out_value) + when(),
                   "another value before it is done", "its own");
    }
    w.lane = w.superstep == superstep && w.lane != lane ? -1 : lane;
    w.superstep = superstep;
    w.tiles += r.hi - r.lo;
    if (r.lo != 0 || r.hi != op.tiles) parts_.push_back(r);
    if (w.tiles <= op.tiles) return {};
    return wrong("tiles of " + name(r.op) + when(), "some computed twice", "each once");
  }

  // Neither what came before nor the op itself has written over what it reads.
  Status operands_survive(const TileRange& r) const {
    const auto op = static_cast<size_t>(r.op);
    for (size_t i = p_.reads_begin(op); i < p_.reads_end[op]; ++i) {
      const int value = p_.reads[i].segment->value;
      if (value_at(value).persistent || scratch_.whole(value)) continue;
      return wrong("scratch of " + p_.name(value) + " read by " + name(r.op) + when(),
                   "another value", "its own");
    }
    return {};
  }

  Status all_done(int64_t due) {
    if (static_cast<int64_t>(begun_.size()) != due) {
      return wrong("ops" + when(), std::to_string(begun_.size()), std::to_string(due));
    }
    for (const int op : begun_) {
      const Work& w = work_[static_cast<size_t>(op)];
      if (w.tiles == op_at(op).tiles) continue;
      return wrong("tiles of " + name(op) + when(), std::to_string(w.tiles) + " computed",
                   "all " + std::to_string(op_at(op).tiles));
    }
    // As many tiles as there are, and none twice: each once.
    std::sort(parts_.begin(), parts_.end(), [](const TileRange& a, const TileRange& b) {
      return a.op != b.op ? a.op < b.op : a.lo < b.lo;
    });
    for (size_t i = 1; i < parts_.size(); ++i) {
      if (parts_[i].op != parts_[i - 1].op || parts_[i].lo >= parts_[i - 1].hi) continue;
      return wrong("tile " + std::to_string(parts_[i].lo) + " of " + name(parts_[i].op) + when(),
                   "computed twice", "once");
    }
    return {};
  }

  Status side_by_side(const std::vector<std::vector<TileRange>>& lanes) {
    const auto busy =
        std::count_if(lanes.begin(), lanes.end(), [](const auto& lane) { return !lane.empty(); });
    if (busy < 2 || plan_.scratch_bytes == 0) return {};
    ++stamp_;
    maker_.resize(plan_.values.size());
    maker_stamp_.resize(plan_.values.size());
    for (size_t lane = 0; lane < lanes.size(); ++lane) {
      for (const TileRange& r : lanes[lane]) {
        const auto v = static_cast<size_t>(op_at(r.op).out_value);
        const bool first = maker_stamp_[v] != stamp_;
        maker_stamp_[v] = stamp_;
        maker_[v] = first || maker_[v] == static_cast<int>(lane) ? static_cast<int>(lane) : -1;
      }
    }
    touches_.clear();
    for (size_t lane = 0; lane < lanes.size(); ++lane) {
      for (const TileRange& r : lanes[lane]) {
        const int out = op_at(r.op).out_value;
        const int together = static_cast<int>(lanes.size()) + out;
        const int maker = maker_[static_cast<size_t>(out)];
        touch(out, maker < 0 ? together : maker, true);
        const auto op = static_cast<size_t>(r.op);
        for (size_t i = p_.reads_begin(op); i < p_.reads_end[op]; ++i) {
          touch(p_.reads[i].segment->value, static_cast<int>(lane), false);
        }
      }
    }
    if (!conflict(touches_)) return {};
    return wrong("scratch" + when(), "memory that two lanes use between two barriers",
                 "a barrier between");
  }

  void touch(int value, int agent, bool write) {
    const Value& v = value_at(value);
    if (!v.persistent) touches_.push_back({v.offset, v.offset + v.slot_bytes, agent, write});
  }
};

}  // namespace

Status prove_schedule(const Proof& proof) { return Schedule(proof).run(); }

}  // namespace pvnet::proof
