// SPDX-License-Identifier: Apache-2.0
// Waiting awake for a while, then asleep.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/clock.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pvnet {

// Long enough to bridge the gap between two levels of a stage, and between two frames that wait in
// line; short enough that a lane waiting for a camera soon sleeps. A lane that sleeps may need 100
// microseconds to get up, on a virtual machine.
constexpr int64_t kSpinNs = 150'000;

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Until done() or for kSpinNs; whether it is done.
template <class Done>
bool spin_until(Done done) {
  constexpr int kLooks = 64;  // for one at the clock
  const int64_t begin = now_ns();
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (done()) return true;
      relax();
    }
  } while (now_ns() - begin < kSpinNs);
  return false;
}

inline void wait_while_equal(const std::atomic<uint32_t>& a, uint32_t old) {
  if (spin_until([&] { return a.load(std::memory_order_acquire) != old; })) return;
  a.wait(old, std::memory_order_acquire);
}

}  // namespace pvnet
