// SPDX-License-Identifier: Apache-2.0
// LanePolicy on simulated machines: how long a tick takes when shared and when made alone.
#include "runtime/cpu/lane_policy.hpp"

#include <functional>

#include "check.hpp"

using pvnet::LanePolicy;
using pvnet::TickWay;

namespace {

// Of two lanes. Flexible lanes are no help where it is not said how long they take.
struct Tick {
  double shared_ms, waited_ms, alone_ms;
  double flexible_ms = 0, flexible_waited_ms = 0;
  int taken_over = 5;  // of 100 chunks
};

struct Run {
  double ms = 0;
  int alone = 0, flexible = 0;
};

// Ticks `from` to `to` - 1 of a machine.
Run run(LanePolicy& policy, int from, int to, const std::function<Tick(int)>& machine) {
  Run r;
  for (int t = from; t < to; ++t) {
    Tick tick = machine(t);
    if (tick.flexible_ms == 0) {
      tick.flexible_ms = tick.shared_ms, tick.flexible_waited_ms = tick.waited_ms;
    }
    const TickWay way = policy.way();
    double ms = tick.shared_ms, waited_ms = tick.waited_ms;
    if (way == TickWay::alone) ms = tick.alone_ms, waited_ms = 0;
    if (way == TickWay::flexible) ms = tick.flexible_ms, waited_ms = tick.flexible_waited_ms;
    const auto waited_ns = static_cast<int64_t>(waited_ms * 1e6);
    const bool flexible = way == TickWay::flexible;
    policy.record({static_cast<int64_t>(ms * 1e6), waited_ns, waited_ns, flexible ? 100 : 0,
                   flexible ? tick.taken_over : 0});
    r.ms += ms;
    r.alone += way == TickWay::alone;
    r.flexible += way == TickWay::flexible;
  }
  return r;
}

bool alone(const LanePolicy& policy) { return policy.way() == TickWay::alone; }

Tick quiet(int) { return {1.0, 0.1, 1.9}; }
Tick busy(int) { return {8.0, 6.0, 2.0}; }
// A thread beside the lanes takes half of a core.
Tick beside(int) { return {2.0, 0.9, 1.9, 1.4, 0.1, 30}; }

}  // namespace

TEST(lanes_that_keep_up_always_share) {
  LanePolicy policy(2, 1, false);
  const Run r = run(policy, 0, 10000, quiet);
  CHECK_EQ(r.alone, 0);
  CHECK_EQ(r.flexible, 0);
}

TEST(lanes_beside_a_thread_take_from_each_other_until_it_ends) {
  LanePolicy policy(2, 1, false);
  run(policy, 0, 100, quiet);
  run(policy, 100, 140, beside);
  const Run settled = run(policy, 140, 4140, beside);
  CHECK(settled.flexible > 3800);
  CHECK(settled.ms < 1.03 * 4000 * beside(0).flexible_ms);
  CHECK(run(policy, 4140, 9000, quiet).flexible <= 33 * 16);
  CHECK(policy.way() == TickWay::shared);
}

TEST(lanes_that_wait_for_the_caller_take_from_it) {
  LanePolicy policy(2, 1, false);
  for (int t = 0; t < 16; ++t) policy.record({1'000'000, 0, 400'000, 0, 0});
  CHECK(policy.way() == TickWay::flexible);
}

TEST(a_busy_machine_is_left_to_others_and_taken_back) {
  LanePolicy policy(2, 1, false);
  run(policy, 0, 100, quiet);
  CHECK(run(policy, 100, 140, busy).alone > 0);
  const Run settled = run(policy, 140, 2140, busy);
  CHECK(settled.alone > 1900);
  CHECK(settled.ms < 1.1 * 2000 * busy(0).alone_ms);
  run(policy, 2140, 4140, quiet);  // the next trial finds the lanes back
  CHECK(!alone(policy));
  CHECK_EQ(run(policy, 4140, 9000, quiet).alone, 0);
}

TEST(lanes_come_back_soon) {
  LanePolicy policy(2, 1, false);
  run(policy, 0, 20000, busy);
  CHECK(alone(policy));
  // At the greatest distance of two trials: 32 windows of 8 ticks, and the trial.
  CHECK(run(policy, 0, 2000, quiet).alone <= 33 * 8);
  CHECK(!alone(policy));
}

TEST(lanes_come_back_at_once_where_ticks_become_shorter) {
  // Other programs take from ticks made alone, too.
  const auto crowded = [](int) { return Tick{8.0, 6.0, 4.0}; };
  for (const int ticks : {200, 1000, 5000, 20000}) {
    LanePolicy policy(2, 1, false);
    run(policy, 0, ticks, crowded);
    CHECK(alone(policy));
    CHECK(run(policy, 0, 2000, quiet).alone <= 3 * 8);
  }
}

TEST(a_trial_that_is_lost_ends_early) {
  const auto jammed = [](int) { return Tick{50.0, 48.0, 2.0}; };
  LanePolicy policy(2, 1, false);
  run(policy, 0, 100, jammed);
  CHECK(run(policy, 0, 5000, jammed).ms < 1.15 * 5000 * 2.0);
}

TEST(waiting_that_saves_time_all_the_same_is_kept) {
  // Most of the work of a tick is one that cannot be shared.
  const auto machine = [](int) { return Tick{1.0, 0.6, 1.4}; };
  LanePolicy policy(4, 1, false);
  const Run r = run(policy, 0, 20000, machine);
  CHECK(r.ms < 1.01 * 20000);
  CHECK(r.alone < 20000 / 100);
}

TEST(uneven_ticks_are_judged_by_whole_hyper_periods) {
  // Every sixteenth tick is a hundred times as long as the others; alone takes 1.2 times as long.
  const auto machine = [](int t) {
    const double ms = t % 16 == 0 ? 10.0 : 0.1;
    return Tick{ms, 0.5 * ms, 1.2 * ms};
  };
  LanePolicy policy(2, 16, false);
  const Run r = run(policy, 5, 16005, machine);
  CHECK(r.ms < 1.02 * 1000 * (10.0 + 15 * 0.1));
}

TEST(a_tie_is_not_worth_a_change) {
  const auto machine = [](int) { return Tick{1.0, 0.5, 0.98}; };
  LanePolicy policy(2, 1, false);
  CHECK(run(policy, 0, 10000, machine).alone < 100);
}

TEST(fixed_or_single_lanes_are_never_judged) {
  LanePolicy fixed(2, 1, true), single(1, 1, false);
  CHECK_EQ(run(fixed, 0, 1000, busy).alone, 0);
  CHECK_EQ(run(single, 0, 1000, busy).alone, 0);
}
