// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/lanes.hpp"

#include <string>
#include <system_error>
#include <utility>

#include "host/subnormals.hpp"
#include "host/threads.hpp"
#include "runtime/clock.hpp"
#include "runtime/cpu/spin.hpp"

namespace pvnet {
namespace {

// Lanes::start_ counts starts; below that lie whether workers meet, and what wake() changes.
constexpr uint32_t kStart = 4, kMeet = 2, kWake = 1;

}  // namespace

Lanes::Lanes(int count, Help help)
    : count_(count),
      help_(help),
      generation_of_process_(fork_generation()),
      waits_(static_cast<size_t>(count)) {
  workers_.reserve(static_cast<size_t>(count));  // workers hold the addresses of their entries
}

Result<std::unique_ptr<Lanes>> Lanes::start(int count, bool pin, Help help) {
  std::unique_ptr<Lanes> team(new Lanes(count, help));
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
  start_workers(0);
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
  start_workers(kMeet);
  work(context, 0);
  barrier(0);
}

void Lanes::ask() {
  if (count_ == 1) return;
  cpus_.give_way();
  start_workers(0);
}

// Nobody but the caller changes the word.
void Lanes::start_workers(uint32_t how) {
  const uint32_t starts = start_.load(std::memory_order_relaxed) / kStart;
  start_.store((starts + 1) * kStart | how, std::memory_order_release);
  start_.notify_all();
}

Lanes::Waited Lanes::take_waited() {
  Waited waited;
  for (size_t lane = 0; lane < waits_.size(); ++lane) {
    const int64_t ns = waits_[lane].ns.exchange(0, std::memory_order_relaxed);
    if (lane == 0) waited.caller_ns = ns;
    waited.all_ns += ns;
  }
  return waited;
}

void Lanes::add_waited(int lane, int64_t ns) {
  waits_[static_cast<size_t>(lane)].ns.fetch_add(ns, std::memory_order_relaxed);
}

void Lanes::wake() {
  if (count_ == 1) return;
  cpus_.give_way();
  start_.fetch_xor(kWake, std::memory_order_relaxed);
  start_.notify_all();
}

// A lane that was woken spins again.
uint32_t Lanes::wait_for_start(uint32_t seen) const {
  for (;;) {
    uint32_t now = 0;
    const auto started = [&] {
      now = start_.load(std::memory_order_acquire);
      return now / kStart != seen / kStart;
    };
    if (spin_until(started)) return now;
    start_.wait(now, std::memory_order_acquire);
  }
}

// A lane may miss a start at which it was asked to help, but none at which all meet: there the
// caller waits for it.
void Lanes::work(int lane) {
  uint32_t seen = 0;
  for (;;) {
    seen = wait_for_start(seen);
    if (stop_.load(std::memory_order_relaxed)) return;
    if ((seen & kMeet) != 0) {
      work_(context_, lane);
      barrier(lane);
    } else {
      help_.work(help_.context, lane);
    }
  }
}

void Lanes::barrier(int lane) {
  if (count_ == 1) return;
  const uint32_t generation = generation_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(count_)) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    generation_.notify_all();
  } else {
    const int64_t begin = now_ns();
    wait_while_equal(generation_, generation);
    add_waited(lane, now_ns() - begin);
  }
}

}  // namespace pvnet
