// SPDX-License-Identifier: Apache-2.0
#include "runtime/lanes.hpp"

#include <pthread.h>
#include <sched.h>

#include <utility>

#include "runtime/clock.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pvnet {
namespace {

// Long enough to bridge the gap between two levels of a stage, short enough that a lane waiting for
// the next frame soon sleeps: roughly 20-100 microseconds, depending on the CPU's pause.
constexpr int kSpins = 2000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void wait_while_equal(const std::atomic<uint32_t>& a, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (a.load(std::memory_order_acquire) != old) return;
    relax();
  }
  a.wait(old, std::memory_order_acquire);
}

// Worker `lane` goes to the lane-th CPU this process may use; the first stays free for the caller,
// whose own affinity is not ours to change.
void pin_to_cpu(std::thread& thread, int lane) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  const int usable = CPU_COUNT(&allowed);
  if (usable < 2) return;
  int index = lane % usable;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || index-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(thread.native_handle(), sizeof(one), &one);
    return;
  }
}

}  // namespace

Lanes::Lanes(int count, bool pin) : count_(count) {
  threads_.reserve(static_cast<size_t>(count));
  for (int lane = 1; lane < count; ++lane) {
    threads_.emplace_back([this, lane] { worker(lane); });
    if (pin) pin_to_cpu(threads_.back(), lane);
  }
  // Until every worker is up: the start of a thread allocates, and a tick may not.
  run([](void*, int) {}, nullptr);
}

Lanes::~Lanes() {
  stop_.store(true, std::memory_order_relaxed);
  start_.fetch_add(1, std::memory_order_release);
  start_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void Lanes::run(Work work, void* context) {
  if (count_ == 1) {
    work(context, 0);
    return;
  }
  work_ = work;
  context_ = context;
  start_.fetch_add(1, std::memory_order_release);
  start_.notify_all();
  work(context, 0);
  barrier(0);
}

int64_t Lanes::take_waited_ns() { return std::exchange(waited_ns_, 0); }

void Lanes::worker(int lane) {
  uint32_t seen = 0;
  for (;;) {
    wait_while_equal(start_, seen);
    ++seen;
    if (stop_.load(std::memory_order_relaxed)) return;
    work_(context_, lane);
    barrier(lane);
  }
}

void Lanes::barrier(int lane) {
  if (count_ == 1) return;
  const uint32_t generation = generation_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(count_)) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    generation_.notify_all();
  } else if (lane > 0) {
    wait_while_equal(generation_, generation);
  } else {
    const int64_t begin = now_ns();
    wait_while_equal(generation_, generation);
    waited_ns_ += now_ns() - begin;
  }
}

}  // namespace pvnet
