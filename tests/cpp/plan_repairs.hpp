// SPDX-License-Identifier: Apache-2.0
// Damage that is consistent with the rest of the plan, so that no second look at sizes or sums
// gives it away: only what a field means is wrong.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "plan_fields.hpp"

#if __has_include("plan/fingerprint.hpp")
#include "plan/fingerprint.hpp"
#endif

namespace mutants {

using pvnet::Plan;
using pvnet::Value;

inline void repair_fingerprint([[maybe_unused]] Plan& plan) {
#if __has_include("plan/fingerprint.hpp")
  plan.fingerprint = pvnet::fingerprint_of(plan);
#endif
}

// Every value gets memory of its own.
inline void lay_out_anew(Plan& plan) {
  int64_t end[2] = {0, 0};
  for (Value& v : plan.values) {
    v.offset = end[v.persistent ? 1 : 0];
    end[v.persistent ? 1 : 0] += v.depth * v.slot_bytes;
  }
  plan.scratch_bytes = end[0];
  plan.state_bytes = end[1];
  repair_fingerprint(plan);
}

inline void stride_anew(Value& v) {
  v.row_stride = (v.shape.w + 2 * v.halo_w) * v.pixel_stride;
  v.slot_bytes = (v.shape.h + 2 * v.halo_h) * v.row_stride * 4;
}

// judge(plan, field, damage) sees copies.
template <class Judge>
class Consistent {
 public:
  Consistent(const Plan& plan, uint32_t seed, const Judge& judge)
      : plan_(plan), rng_(seed), judge_(judge) {}

  void everywhere() {
    for (size_t v = 0; v < plan_.values.size(); ++v) value(v);
    for (size_t i = 0; i < plan_.ops.size(); ++i) operands(i);
    shared_scratch();
    for (size_t t = 0; t < plan_.schedule.size(); ++t) schedule(t);
  }

 private:
  const Plan& plan_;
  std::mt19937 rng_;
  const Judge& judge_;

  size_t below(size_t n) { return rng_() % n; }

  template <class Change>
  void with(const char* field, const char* what, const Change& change) {
    Plan c;
    fields::copy(plan_, c);
    if (change(c)) judge_(c, field, what);
  }

  void value(size_t v) {
    const auto geometry = [&](const char* field, const char* what, auto&& change) {
      with(field, what, [&](Plan& c) {
        change(c.values[v]);
        stride_anew(c.values[v]);
        lay_out_anew(c);
        return true;
      });
    };
    geometry("values[].halo_h", "one row less, laid out anew", [](Value& a) { a.halo_h -= 1; });
    geometry("values[].halo_h", "one row more, laid out anew", [](Value& a) { a.halo_h += 1; });
    geometry("values[].halo_w", "one pixel less, laid out anew", [](Value& a) { a.halo_w -= 1; });
    geometry("values[].halo_w", "one pixel more, laid out anew", [](Value& a) { a.halo_w += 1; });
    geometry("values[].pixel_stride", "no room to spare, laid out anew",
             [](Value& a) { a.pixel_stride = a.shape.c; });
    geometry("values[].pixel_stride", "one less, laid out anew",
             [](Value& a) { a.pixel_stride -= 1; });
    geometry("values[].pixel_stride", "16 more, laid out anew",
             [](Value& a) { a.pixel_stride += 16; });
    geometry("values[].depth", "one less, laid out anew", [](Value& a) { a.depth -= 1; });
    geometry("values[].depth", "one more, laid out anew", [](Value& a) { a.depth += 1; });
    geometry("values[].persistent", "the other, laid out anew",
             [](Value& a) { a.persistent = !a.persistent; });
    geometry("values[].persistent", "scratch of one slot, laid out anew", [](Value& a) {
      a.persistent = false;
      a.depth = 1;
    });
  }

  // Of an op, with what the kernel is told.
  void operands(size_t i) {
    const auto told = [i](Plan& c) {
      pvnet::OpParams& p = fields::params_of(c.ops[i]);
      p.seg_c.clear();
      for (const auto& s : c.ops[i].operands[0]) p.seg_c.push_back(s.c);
      p.conv.seg_c = p.seg_c.data();
      p.conv.n_segs = static_cast<int>(p.seg_c.size());
      return true;
    };
    for (size_t k = 0; k < plan_.ops[i].operands.size(); ++k) {
      const size_t n = plan_.ops[i].operands[k].size();
      for (size_t s = 0; s + 1 < n; ++s) {
        with("ops[].operands[]", "two segments exchanged, told to the kernel", [&](Plan& c) {
          auto& operand = c.ops[i].operands[k];
          std::swap(operand[s], operand[s + 1]);
          return operand[s].value != operand[s + 1].value && told(c);
        });
        with("ops[].operands[]", "one segment over another, told to the kernel", [&](Plan& c) {
          auto& operand = c.ops[i].operands[k];
          if (operand[s].c != operand[s + 1].c) return false;
          operand[s] = operand[s + 1];
          return told(c);
        });
      }
    }
    with("ops[].operands", "those of another op, told to the kernel", [&](Plan& c) {
      const size_t j = below(c.ops.size());
      if (i == j) return false;
      c.ops[i].operands = c.ops[j].operands;
      return told(c);
    });
  }

  void shared_scratch() {
    std::vector<size_t> scratch;
    for (size_t v = 0; v < plan_.values.size(); ++v) {
      if (!plan_.values[v].persistent) scratch.push_back(v);
    }
    for (const size_t v : scratch) {
      for (const size_t u : scratch) {
        if (u == v) continue;
        with("values[].offset", "that of another value, laid out anew", [&](Plan& c) {
          lay_out_anew(c);
          c.values[v].offset = c.values[u].offset;
          c.scratch_bytes = 0;
          for (const Value& a : c.values) {
            if (!a.persistent) c.scratch_bytes = std::max(c.scratch_bytes, a.offset + a.slot_bytes);
          }
          repair_fingerprint(c);
          return true;
        });
      }
    }
  }

  void schedule(size_t t) {
    const auto edit = [&](const char* what, auto&& change) {
      with("schedule[]", what, [&](Plan& c) { return change(c.schedule[t]); });
    };
    for (size_t k = 0; k < plan_.schedule[t].supersteps.size(); ++k) {
      edit("two supersteps merged", [&](pvnet::TickSchedule& s) {
        if (k + 1 >= s.supersteps.size()) return false;
        for (size_t l = 0; l < s.supersteps[k].lanes.size(); ++l) {
          auto& to = s.supersteps[k].lanes[l];
          auto& from = s.supersteps[k + 1].lanes[l];
          to.insert(to.end(), from.begin(), from.end());
        }
        s.supersteps.erase(s.supersteps.begin() + static_cast<int64_t>(k) + 1);
        return true;
      });
      edit("two supersteps exchanged", [&](pvnet::TickSchedule& s) {
        if (k + 1 >= s.supersteps.size()) return false;
        std::swap(s.supersteps[k], s.supersteps[k + 1]);
        return true;
      });
      edit("an idle superstep", [&](pvnet::TickSchedule& s) {
        s.supersteps.insert(s.supersteps.begin() + static_cast<int64_t>(k), pvnet::Superstep{});
        s.supersteps[k].lanes.resize(s.supersteps[k + 1].lanes.size());
        return !s.solo;
      });
      for (int n = 0; n < 12; ++n) {
        edit("work moved", [&](pvnet::TickSchedule& s) { return move(s, k, false); });
        edit("a part of the work moved", [&](pvnet::TickSchedule& s) { return move(s, k, true); });
      }
    }
  }

  // One range, or half of it, from superstep k to anywhere.
  bool move(pvnet::TickSchedule& s, size_t k, bool half) {
    auto& lanes = s.supersteps[k].lanes;
    auto& from = lanes[below(lanes.size())];
    if (from.empty()) return false;
    const size_t i = below(from.size());
    pvnet::TileRange r = from[i];
    if (half) {
      if (r.hi - r.lo < 2) return false;
      const int middle = (r.lo + r.hi) / 2;
      from[i].hi = middle;
      r.lo = middle;
    } else {
      from.erase(from.begin() + static_cast<int64_t>(i));
    }
    auto& superstep = s.supersteps[below(s.supersteps.size())];
    auto& to = superstep.lanes[s.solo ? 0 : below(superstep.lanes.size())];
    to.insert(to.begin() + static_cast<int64_t>(below(to.size() + 1)), r);
    return true;
  }
};

}  // namespace mutants
