// SPDX-License-Identifier: Apache-2.0
// Lanes: a fixed team of threads that run one function together and meet at barriers, or that are
// asked to help and need not come. Lane 0 is the caller; the others are workers that live as long
// as the team. Nothing here allocates after start().
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "host/cpus.hpp"

#include "graph/status.hpp"

namespace pvnet {

class Lanes {
 public:
  using Work = void (*)(void* context, int lane);
  // What a worker does that is asked to help: as much as there is to do. It may come when all is
  // done, or when the next is asked for.
  struct Help {
    Work work = nullptr;
    void* context = nullptr;  // lives longer than the team
  };

  // Fails where the system refuses a thread; those that had started are gone then.
  static Result<std::unique_ptr<Lanes>> start(int count, bool pin, Help help);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  int count() const { return count_; }
  // Whether this is the copy of a team in a forked process: its workers exist in the parent only.
  bool lost() const;
  // To be called some microseconds before run(): lanes that sleep take as long to get up.
  void wake();
  // Runs work(context, lane) on every lane; returns when all have finished.
  void run(Work work, void* context);
  // Called by every lane from inside run(): returns when all lanes have called it.
  void barrier(int lane);
  // Asks the workers to help; returns at once.
  void ask();

  // How long the caller, and how long all lanes have waited since the last call of take_waited(). A
  // worker tells so afterwards: the last wait of a run may count for the next one.
  struct Waited {
    int64_t caller_ns = 0, all_ns = 0;
  };
  Waited take_waited();
  void add_waited(int lane, int64_t ns);

 private:
  struct Worker {
    Lanes* team = nullptr;
    int lane = 0;
    pthread_t thread{};
  };

  // A lane's own line of the cache: only the lane adds to it.
  struct alignas(64) Waits {
    std::atomic<int64_t> ns{0};
  };

  Lanes(int count, Help help);
  static void* begin(void* worker);
  void work(int lane);
  uint32_t wait_for_start(uint32_t seen) const;
  void start_workers(uint32_t how);

  const int count_;
  const Help help_;
  const uint32_t generation_of_process_;
  CpuShare cpus_;
  std::vector<Worker> workers_;  // those that have started
  Work work_ = nullptr;
  void* context_ = nullptr;
  std::vector<Waits> waits_;
  // Each on a cache line of its own: they are spun on.
  alignas(64) std::atomic<uint32_t> start_{0};  // see kStart in lanes.cpp
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace pvnet
