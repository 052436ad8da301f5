// SPDX-License-Identifier: Apache-2.0
#include "host/cpus.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "host/cpu_quota.hpp"

namespace pvnet {
namespace {

constexpr int kMostCpus = 8192;  // of a machine; lanes are not pinned to CPUs beyond

// One flag per CPU of the machine. Atomic, not locked: a process may fork at any moment.
std::atomic<bool> taken[kMostCpus];

// A set of CPUs that lies on the stack.
struct CpuSet {
  static constexpr size_t kBytes = CPU_ALLOC_SIZE(kMostCpus);
  alignas(cpu_set_t) unsigned char bytes[kBytes] = {};

  cpu_set_t* get() { return reinterpret_cast<cpu_set_t*>(bytes); }
};

}  // namespace

std::vector<int> allowed_cpus() {
  std::vector<int> out;
  // The set of the system may be larger than cpu_set_t has room for: 1024 CPUs.
  for (int room = CPU_SETSIZE; room <= 64 * CPU_SETSIZE; room *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(room));
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(room));
    CPU_ZERO_S(bytes, set);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    for (int cpu = 0; known && cpu < room; ++cpu) {
      if (CPU_ISSET_S(static_cast<size_t>(cpu), bytes, set)) out.push_back(cpu);
    }
    CPU_FREE(set);
    if (known) break;
  }
  if (out.empty()) {
    const int n = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (int cpu = 0; cpu < n; ++cpu) out.push_back(cpu);
  }
  return out;
}

int usable_cpus() {
  const int allowed = static_cast<int>(allowed_cpus().size());
  const double quota = cpu_quota();
  return quota > 0 ? std::clamp(static_cast<int>(quota), 1, allowed) : allowed;
}

CpuShare::CpuShare(int lanes) {
  for (const int cpu : allowed_cpus()) {
    if (static_cast<int>(cpus_.size()) == lanes) break;
    if (cpu < kMostCpus && !taken[cpu].exchange(true, std::memory_order_relaxed)) {
      cpus_.push_back(cpu);
    }
  }
}

CpuShare::~CpuShare() {
  for (const int cpu : cpus_) taken[cpu].store(false, std::memory_order_relaxed);
}

CpuShare::CpuShare(CpuShare&& other) noexcept : cpus_(std::exchange(other.cpus_, {})) {}

CpuShare& CpuShare::operator=(CpuShare&& other) noexcept {
  std::swap(cpus_, other.cpus_);
  return *this;
}

int CpuShare::cpu(int lane) const {
  const auto i = static_cast<size_t>(lane);
  return i < cpus_.size() ? cpus_[i] : -1;
}

void CpuShare::give_way() const {
  if (cpus_.size() < 2) return;
  const auto first = cpus_.begin() + 1;
  if (std::find(first, cpus_.end(), sched_getcpu()) == cpus_.end()) return;
  CpuSet all;
  if (sched_getaffinity(0, CpuSet::kBytes, all.get()) != 0) return;
  CpuSet others = all;
  for (auto cpu = first; cpu != cpus_.end(); ++cpu) {
    CPU_CLR_S(static_cast<size_t>(*cpu), CpuSet::kBytes, others.get());
  }
  if (CPU_COUNT_S(CpuSet::kBytes, others.get()) == 0) return;
  // The call returns on a CPU of the set; the system has no reason to move the thread back.
  if (sched_setaffinity(0, CpuSet::kBytes, others.get()) != 0) return;
  sched_setaffinity(0, CpuSet::kBytes, all.get());
}

}  // namespace pvnet
