// SPDX-License-Identifier: Apache-2.0
#include "host/core_distance.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "host/cpus.hpp"
#include "host/threads.hpp"

namespace pvnet {
namespace {

using Clock = std::chrono::steady_clock;

// On a busy machine two CPUs seldom run both threads at once: nobody waits longer than this.
constexpr auto kPatience = std::chrono::milliseconds(50);
constexpr int kRounds = 10, kTrips = 2000;

// Two threads that take turns: even values are the first one's to raise, odd ones the other's.
struct Court {
  alignas(64) std::atomic<uint32_t> ball{0};
  alignas(64) std::atomic<bool> over{false};
  std::atomic<bool> pinned{false};  // both threads
  double best_ns = -1;
};

bool wait_for_turn(Court& court, uint32_t turn) {
  for (uint32_t spins = 0; court.ball.load(std::memory_order_acquire) != turn; ++spins) {
    if (spins % 1024 == 1023 && court.over.load(std::memory_order_relaxed)) return false;
  }
  return true;
}

void* serve(void* argument) {
  Court& court = *static_cast<Court*>(argument);
  court.pinned.wait(false);
  const auto start = Clock::now();
  uint32_t turn = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = Clock::now();
    for (int trip = 0; trip < kTrips; ++trip, turn += 2) {
      court.ball.store(turn + 1, std::memory_order_release);
      for (uint32_t spins = 0; court.ball.load(std::memory_order_acquire) != turn + 2; ++spins) {
        if (spins % 1024 == 1023 && Clock::now() - start > kPatience) {
          court.over.store(true);
          return nullptr;
        }
      }
    }
    const std::chrono::duration<double, std::nano> ns = Clock::now() - begin;
    const double one_way = ns.count() / (2 * kTrips);
    court.best_ns = court.best_ns < 0 ? one_way : std::min(court.best_ns, one_way);
  }
  court.over.store(true);
  return nullptr;
}

void* answer(void* argument) {
  Court& court = *static_cast<Court*>(argument);
  for (uint32_t turn = 1; wait_for_turn(court, turn); turn += 2) {
    court.ball.store(turn + 1, std::memory_order_release);
  }
  return nullptr;
}

}  // namespace

double core_to_core_ns() {
  const std::vector<int> cpus = allowed_cpus();
  if (cpus.size() < 2) return -1;
  Court court;
  pthread_t first{}, second{};
  if (start_thread(second, &answer, &court, cpus[1]) != 0) return -1;
  const bool started = start_thread(first, &serve, &court, cpus[0]) == 0;
  if (started) {
    court.pinned.store(true);
    court.pinned.notify_all();
    pthread_join(first, nullptr);
  } else {
    court.over.store(true);
  }
  pthread_join(second, nullptr);
  return court.best_ns;
}

}  // namespace pvnet
