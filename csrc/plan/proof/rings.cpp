// SPDX-License-Identifier: Apache-2.0
// Rings: the firings that every read needs are still there when it reads.
//
// At tick t the newest firing of a value is N(t), the one that is due at t counted. A read finds
// firing F(t) where it should if N(t) - F(t) < depth. Both only floor and subtract, so that N and F
// grow by whole firings when t grows by the periods on the way: the distance repeats, and one round
// of the periods is all there is. Before the stream has settled the same holds for every firing
// that exists, and a firing before the first is not read at all. So nothing is played for warm-up.
#include <numeric>

#include "plan/proof/proof.hpp"

namespace pvnet::proof {
namespace {

int64_t last_firing(const Clock& clock, int64_t tick) {
  const int64_t ticks = tick - clock.origin;
  const int64_t firing = ticks / clock.period;
  return firing * clock.period > ticks ? firing - 1 : firing;
}

// As if the stream had begun long before.
int64_t reached(const Segment& segment, int64_t tick, int64_t back) {
  int64_t firing = 0;
  for (const Hop& hop : segment.hops) {
    firing = last_firing(hop.clock, tick - hop.delay) - back;
    tick = hop.clock.origin + firing * hop.clock.period;
    back = 0;
  }
  return firing;
}

}  // namespace

bool reads_what_is_due(const Segment& segment, const Clock& clock, int64_t tick) {
  return (tick - clock.origin) % clock.period == 0 &&
         reached(segment, tick, 0) == last_firing(clock, tick);
}

namespace {

class Rings {
 public:
  explicit Rings(Proof& proof) : p_(proof), plan_(proof.plan) {}

  Status run() {
    size_t next = 0;
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      for (; next < p_.reads_end[i]; ++next) {
        PVNET_TRY(read(p_.reads[next], plan_.ops[i].clock, static_cast<int>(i)));
        PVNET_TRY(within_tick(p_.reads[next], i));
      }
    }
    for (size_t i = 0; i < plan_.outputs.size(); ++i) {
      for (size_t s = 0; s < plan_.outputs[i].source.size(); ++s, ++next) {
        const int output = -1 - static_cast<int>(i);
        PVNET_TRY(read(p_.reads[next], Clock{1, 0}, output));
        // Held until the next tick, and longer for a row that is frozen.
        PVNET_TRY(persists(p_.reads[next], output));
      }
    }
    return {};
  }

 private:
  Proof& p_;
  const Plan& plan_;

  const Value& value_of(const Read& read) const {
    return plan_.values[static_cast<size_t>(read.segment->value)];
  }

  // reader: an op, or -1 - output.
  std::string name_of(int reader) const {
    if (reader >= 0) return p_.op_name(static_cast<size_t>(reader));
    return "output '" + plan_.outputs[static_cast<size_t>(-1 - reader)].name + "'";
  }

  Status read(Read& read, const Clock& clock, int reader) const {
    const Value& v = value_of(read);
    int64_t round = std::lcm(clock.period, v.clock.period);
    for (const Hop& hop : read.segment->hops) round = std::lcm(round, hop.clock.period);
    int64_t ticks = 0, same = 0;
    for (int64_t t = clock.origin; t < clock.origin + round; t += clock.period) {
      const int64_t newest = last_firing(v.clock, t);
      const int64_t first = reached(*read.segment, t, 0);
      const int64_t last = reached(*read.segment, t, read.oldest_tap);
      if (first > newest) {
        return wrong("firing of " + p_.name(read.segment->value) + " read by " + name_of(reader),
                     "a later one", "one that has been");
      }
      if (newest - last >= v.depth) {
        return wrong(
            "ring depth of " + p_.name(read.segment->value) + " read by " + name_of(reader),
            std::to_string(v.depth), "at least " + std::to_string(newest - last + 1));
      }
      ++ticks;
      if (reads_what_is_due(*read.segment, v.clock, t)) ++same;
    }
    read.same_tick = same == 0       ? SameTick::never
                     : same == ticks ? SameTick::always
                                     : SameTick::sometimes;
    return {};
  }

  Status persists(const Read& read, int reader) const {
    if (value_of(read).persistent) return {};
    return wrong(
        "memory of " + p_.name(read.segment->value) + " read in later ticks by " + name_of(reader),
        "scratch", "state");
  }

  // Scratch is forgotten after its tick; levels and groups order what happens within one.
  Status within_tick(const Read& read, size_t reader) const {
    if (read.same_tick != SameTick::always) PVNET_TRY(persists(read, static_cast<int>(reader)));
    const int writer = p_.writer_of[static_cast<size_t>(read.segment->value)];
    if (read.same_tick == SameTick::never || writer < 0) return {};
    const PlanOp& from = plan_.ops[static_cast<size_t>(writer)];
    const PlanOp& to = plan_.ops[reader];
    if (from.group == to.group && from.level < to.level) return {};
    return wrong("group and level of " + p_.op_name(reader),
                 std::to_string(to.group) + ", " + std::to_string(to.level),
                 std::to_string(from.group) + " and more than " + std::to_string(from.level) +
                     ", it reads " + p_.name(read.segment->value));
  }
};

}  // namespace

Status prove_rings(Proof& proof) { return Rings(proof).run(); }

}  // namespace pvnet::proof
