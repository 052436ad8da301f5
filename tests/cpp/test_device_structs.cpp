// SPDX-License-Identifier: Apache-2.0
// kernels/segment.h on the host: its structs are plain bytes without holes, and its two functions
// agree with the semantics of reads (DESIGN: firings, clocks, delays).
#include "../../kernels/segment.h"

#include <cstddef>
#include <random>
#include <type_traits>
#include <vector>

#include "graph/limits.hpp"
#include "plan/plan.hpp"

#include "check.hpp"

template <class T>
constexpr bool kPlain = std::is_trivial_v<T> && std::is_standard_layout_v<T> &&
                        std::has_unique_object_representations_v<T>;
static_assert(kPlain<pvnet_device_clock> && sizeof(pvnet_device_clock) == 16);
static_assert(kPlain<pvnet_device_value> && sizeof(pvnet_device_value) == 80);
static_assert(kPlain<pvnet_device_hop> && sizeof(pvnet_device_hop) == 24);
static_assert(kPlain<pvnet_device_segment> &&
              sizeof(pvnet_device_segment) == 16 + PVNET_MAX_HOPS * 24);
static_assert(offsetof(pvnet_device_value, clock) == 32 && offsetof(pvnet_device_value, c) == 48);
static_assert(offsetof(pvnet_device_segment, hops) == 16);
static_assert(PVNET_MAX_HOPS == pvnet::kMaxHops);  // what a plan holds fits the table
// The host structs they mirror count in the same types.
static_assert(std::is_same_v<decltype(pvnet::Value::slot_bytes), int64_t>);
static_assert(std::is_same_v<decltype(pvnet::Hop::delay), int64_t>);

namespace {

std::mt19937 rng(3);
int pick(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(rng); }

// Firing index of `clock` at `tick` by counting due ticks one by one; -1 before the first.
int64_t count_firings(const pvnet_device_clock& clock, int64_t tick) {
  int64_t n = 0;
  for (int64_t t = clock.origin; t <= tick; t += clock.period) ++n;
  return n - 1;
}

}  // namespace

TEST(device_firing_agrees_with_counting) {
  for (int i = 0; i < 2000; ++i) {
    pvnet_device_segment s = {};
    s.n_hops = pick(1, 3);
    for (int k = 0; k < s.n_hops; ++k) s.hops[k] = {{pick(1, 4), pick(0, 5)}, pick(0, 6)};
    const int64_t tick = pick(0, 40), back = pick(0, 4);
    int64_t at = tick, firing = -1;
    for (int k = 0; k < s.n_hops; ++k) {
      firing = count_firings(s.hops[k].clock, at - s.hops[k].delay) - (k == 0 ? back : 0);
      if (firing < 0) break;
      at = s.hops[k].clock.origin + firing * s.hops[k].clock.period;
    }
    CHECK_EQ(pvnet_device_firing(&s, tick, back), firing < 0 ? -1 : firing);
  }
}

TEST(device_slot_is_pixel_zero_of_the_ring_slot) {
  pvnet_device_value v = {};
  v.offset = 1000;
  v.slot_stride = 500;
  v.row_stride = 40;
  v.pixel_stride = 4;
  v.halo_h = 2;
  v.halo_w = 1;
  v.depth = 3;
  CHECK_EQ(pvnet_device_slot(&v, 0), 1000 + 84);
  CHECK_EQ(pvnet_device_slot(&v, 2), 1000 + 1000 + 84);
  CHECK_EQ(pvnet_device_slot(&v, 7), 1000 + 500 + 84);
}
