// SPDX-License-Identifier: Apache-2.0
// Lanes: a fixed team of threads that run one function together and meet at barriers. Lane 0 is the
// caller; the others are workers that live as long as the team. Nothing here allocates after
// start().
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

  // Fails where the system refuses a thread; those that had started are gone then.
  static Result<std::unique_ptr<Lanes>> start(int count, bool pin);
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
  // How long the caller of run() has waited at barriers since the last call of this.
  int64_t take_waited_ns();

 private:
  struct Worker {
    Lanes* team = nullptr;
    int lane = 0;
    pthread_t thread{};
  };

  explicit Lanes(int count);
  static void* begin(void* worker);
  void work(int lane);
  void wait_for_start(uint32_t seen) const;

  const int count_;
  const uint32_t generation_of_process_;
  CpuShare cpus_;
  std::vector<Worker> workers_;  // those that have started
  Work work_ = nullptr;
  void* context_ = nullptr;
  int64_t waited_ns_ = 0;  // the caller's own
  // Each on a cache line of its own: they are spun on.
  alignas(64) std::atomic<uint32_t> start_{0};  // twice the runs; wake() changes the lowest bit
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace pvnet
