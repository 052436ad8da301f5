// SPDX-License-Identifier: Apache-2.0
// Hops that are merged must reach the same firing at every tick and tap, also before the origins.
#include <random>

#include "check.hpp"
#include "plan/place.hpp"
#include "plan/proof/ways.hpp"
#include "plan/resolve.hpp"

using namespace pvnet;

namespace {

// Periods do not fall along a way, as in graphs.
std::vector<Hop> random_hops(std::mt19937& rng) {
  std::vector<Hop> hops(rng() % 7 + 1);
  int64_t period = 1;
  for (Hop& hop : hops) {
    if (rng() % 3 == 0) period *= static_cast<int64_t>(rng() % 2 + 1);
    hop = {{period, static_cast<int64_t>(rng() % 9)}, static_cast<int64_t>(rng() % 7)};
  }
  return hops;
}

proof::Way way_of(const std::vector<Hop>& hops) {
  proof::Way way;
  for (const Hop& hop : hops) way.add(hop);
  return way;
}

}  // namespace

TEST(merged_hops_reach_the_same_firings) {
  std::mt19937 rng(5);
  size_t fewer = 0;
  for (int round = 0; round < 4000; ++round) {
    const Segment given{0, 1, random_hops(rng)};
    Segment merged{0, 1, {}};
    for (const Hop& hop : given.hops) append_hop(merged.hops, hop);
    fewer += given.hops.size() - merged.hops.size();
    int64_t most = 0;
    for (size_t i = 0; i < merged.hops.size(); ++i) {
      if (i == 0 || merged.hops[i].clock.period != merged.hops[i - 1].clock.period) most += 2;
    }
    CHECK(static_cast<int64_t>(merged.hops.size()) <= most);
    for (int64_t tick = 0; tick < 120; ++tick) {
      for (int64_t back = 0; back < 4; ++back) {
        CHECK_EQ(resolve_firing(merged, tick, back), resolve_firing(given, tick, back));
        const int64_t far = tick + (int64_t{1} << 40);
        CHECK_EQ(resolve_firing_settled(merged, far, back),
                 resolve_firing_settled(given, far, back));
      }
    }
    CHECK(way_of(given.hops) == way_of(merged.hops));
  }
  CHECK(fewer > 4000);
}

TEST(ways_that_differ_at_some_tick_are_not_taken_for_equal) {
  std::mt19937 rng(6);
  int equal = 0;
  for (int round = 0; round < 4000; ++round) {
    const Segment a{0, 1, random_hops(rng)};
    Segment b = a;
    Hop& hop = b.hops[rng() % b.hops.size()];
    (rng() % 2 ? hop.delay : hop.clock.origin) += static_cast<int64_t>(rng() % 3) - 1;
    if (!(way_of(a.hops) == way_of(b.hops))) continue;
    ++equal;
    for (int64_t tick = 0; tick < 120; ++tick) {
      for (int64_t back = 0; back < 3; ++back) {
        CHECK_EQ(resolve_firing(a, tick, back), resolve_firing(b, tick, back));
      }
    }
  }
  CHECK(equal > 500);
}

TEST(lives_that_overlap_in_time_do_not_overlap_in_memory) {
  std::mt19937 rng(7);
  // 3,000 lives of all levels are more than the careful way takes on.
  for (const int count : {1, 2, 30, 200, 3000}) {
    std::vector<Lifetime> lives;
    int64_t largest = 0;
    for (int i = 0; i < count; ++i) {
      const int first = static_cast<int>(rng() % 50);
      const int last = count == 3000 ? 60 : first + static_cast<int>(rng() % 9);
      lives.push_back({i, first, last, static_cast<int64_t>(rng() % 20 + 1) * 16, 0});
    }
    const int64_t end = place(lives);
    std::vector<int64_t> alive(80, 0);
    for (const Lifetime& a : lives) {
      CHECK(a.offset >= 0 && a.offset + a.size <= end);
      for (int level = a.first; level <= a.last; ++level) alive[level] += a.size;
      for (const Lifetime& b : lives) {
        if (&a == &b || b.first > a.last || a.first > b.last) continue;
        CHECK(a.offset + a.size <= b.offset || b.offset + b.size <= a.offset);
      }
    }
    for (const int64_t sum : alive) largest = std::max(largest, sum);
    CHECK(end >= largest && end <= 2 * largest);
  }
}
