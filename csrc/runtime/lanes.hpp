// SPDX-License-Identifier: Apache-2.0
// Lanes: a fixed team of threads that run one function together and meet at barriers. Lane 0 is the
// caller; the others are workers that live as long as the team. Nothing here allocates after
// construction.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace pvnet {

class Lanes {
 public:
  using Work = void (*)(void* context, int lane);

  Lanes(int count, bool pin);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  int count() const { return count_; }
  // Runs work(context, lane) on every lane; returns when all have finished.
  void run(Work work, void* context);
  // Called by every lane from inside run(): returns when all lanes have called it.
  void barrier(int lane);
  // How long the caller of run() has waited at barriers since the last call of this.
  int64_t take_waited_ns();

 private:
  void worker(int lane);

  const int count_;
  std::vector<std::thread> threads_;
  Work work_ = nullptr;
  void* context_ = nullptr;
  int64_t waited_ns_ = 0;  // the caller's own
  // Each on a cache line of its own: they are spun on.
  alignas(64) std::atomic<uint32_t> start_{0};
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace pvnet
