// SPDX-License-Identifier: Apache-2.0
// Lists of hops compared by what they do. A plan may say a way through many nodes with few hops;
// here both are brought into one form, of which there is one for everything a way can do.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.hpp"

namespace pvnet::proof {

// Hops of one period, one behind the other. A read at `tick` arrives at firing
// f = floor((tick - delay - origin) / period), less the taps back if the run is the nearest, and
// there is nothing where f < least. Of runs but the last only the tick handed on matters, so their
// delay is handed on, too, and their origin is one of the first period.
struct Run {
  int64_t period = 1, origin = 0, delay = 0, least = 0;
  bool operator==(const Run&) const = default;
};

class Way {
 public:
  struct Undo {
    size_t size = 0;
    Run last;
  };

  Undo add(const Hop& hop) {
    const Undo before{runs_.size(), runs_.empty() ? Run{} : runs_.back()};
    Run next{hop.clock.period, hop.clock.origin, hop.delay, 0};
    if (runs_.empty()) {
      runs_.push_back(next);
      return before;
    }
    Run& last = runs_.back();
    if (last.period == next.period) {
      // The farther firing is the nearer one plus a number; both must be there.
      const int64_t ticks = last.origin - next.delay - next.origin;
      const int64_t rest = modulo(ticks, next.period);
      next.delay += last.delay + rest;
      next.least = last.least + (ticks - rest) / next.period;
      if (next.least < 0) next.least = 0;
      last = next;
      return before;
    }
    const int64_t first = last.origin + last.least * last.period + last.delay;
    next.delay += last.delay;
    last.delay = 0;
    last.origin = modulo(first, last.period);
    last.least = (first - last.origin) / last.period;
    runs_.push_back(next);
    return before;
  }
  void undo(const Undo& before) {
    runs_.resize(before.size);
    if (!runs_.empty()) runs_.back() = before.last;
  }
  bool operator==(const Way&) const = default;

 private:
  std::vector<Run> runs_;

  static int64_t modulo(int64_t a, int64_t b) { return (a % b + b) % b; }
};

}  // namespace pvnet::proof
