// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/lanes.hpp"

#include <string>
#include <system_error>
#include <utility>

#include "host/subnormals.hpp"
#include "host/threads.hpp"
#include "runtime/clock.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pvnet {
namespace {

// Long enough to bridge the gap between two levels of a stage, and between two frames that wait in
// line; short enough that a lane waiting for a camera soon sleeps. A lane that sleeps may need 100
// microseconds to get up, on a virtual machine.
constexpr int64_t kSpinNs = 150'000;
constexpr int kLooks = 64;    // at the flag, for one at the clock
constexpr uint32_t kRun = 2;  // of Lanes::start_

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Until done() or for kSpinNs; whether it is done.
template <class Done>
bool spin_until(Done done) {
  const int64_t begin = now_ns();
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (done()) return true;
      relax();
    }
  } while (now_ns() - begin < kSpinNs);
  return false;
}

void wait_while_equal(const std::atomic<uint32_t>& a, uint32_t old) {
  if (spin_until([&] { return a.load(std::memory_order_acquire) != old; })) return;
  a.wait(old, std::memory_order_acquire);
}

}  // namespace

Lanes::Lanes(int count) : count_(count), generation_of_process_(fork_generation()) {
  workers_.reserve(static_cast<size_t>(count));  // workers hold the addresses of their entries
}

Result<std::unique_ptr<Lanes>> Lanes::start(int count, bool pin) {
  std::unique_ptr<Lanes> team(new Lanes(count));
  // In a forked process the CPUs that the parent's lanes have are not known to be free.
  if (pin && count > 1 && fork_generation() == 0) team->cpus_ = CpuShare(count);
  for (int lane = 1; lane < count; ++lane) {
    Worker& worker = team->workers_.emplace_back(Worker{team.get(), lane});
    const int error = start_thread(worker.thread, &Lanes::begin, &worker, team->cpus_.cpu(lane));
    if (error == 0) continue;
    team->workers_.pop_back();
    return Status{Code::unsupported, "[Stream] the system refuses a thread for lane " +
                                         std::to_string(lane) + ": got \"" +
                                         std::generic_category().message(error) + "\", expected " +
                                         std::to_string(count - 1) +
                                         " workers. Use fewer lanes, or raise the limit of threads "
                                         "or memory of this process."};
  }
  // Until every worker is up: the start of a thread allocates, and a tick may not.
  team->run([](void*, int) {}, nullptr);
  return team;
}

Lanes::~Lanes() {
  if (lost()) return;
  stop_.store(true, std::memory_order_relaxed);
  start_.fetch_add(kRun, std::memory_order_release);
  start_.notify_all();
  for (const Worker& w : workers_) pthread_join(w.thread, nullptr);
}

bool Lanes::lost() const { return generation_of_process_ != fork_generation(); }

void* Lanes::begin(void* worker) {
  const auto* w = static_cast<const Worker*>(worker);
  name_thread(("pvnet lane " + std::to_string(w->lane)).c_str());
  const SubnormalsAsZero mode;
  w->team->work(w->lane);
  return nullptr;
}

void Lanes::run(Work work, void* context) {
  if (count_ == 1) {
    work(context, 0);
    return;
  }
  cpus_.give_way();
  work_ = work;
  context_ = context;
  start_.fetch_add(kRun, std::memory_order_release);
  start_.notify_all();
  work(context, 0);
  barrier(0);
}

int64_t Lanes::take_waited_ns() { return std::exchange(waited_ns_, 0); }

void Lanes::wake() {
  if (count_ == 1) return;
  cpus_.give_way();
  start_.fetch_xor(1, std::memory_order_relaxed);
  start_.notify_all();
}

// A lane that was woken spins again.
void Lanes::wait_for_start(uint32_t seen) const {
  for (;;) {
    uint32_t now = 0;
    const auto started = [&] {
      now = start_.load(std::memory_order_acquire);
      return now / kRun != seen / kRun;
    };
    if (spin_until(started)) return;
    start_.wait(now, std::memory_order_acquire);
  }
}

void Lanes::work(int lane) {
  uint32_t seen = 0;
  for (;;) {
    wait_for_start(seen);
    seen += kRun;
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
