// SPDX-License-Identifier: Apache-2.0
// A block of threads, each on a stack of its own, all in one thread of the process. A thread runs
// until it waits; warps and lanes take turns in a random order.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "thread.hpp"

// As CUDA has them.
struct uint3 {
  unsigned x, y, z;
};
inline uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace shim {

constexpr int kWarpLanes = 32;
// That a launch may ask for: 48 KiB less 1 for arrays that the kernels declare themselves.
constexpr size_t kMostSharedBytes = size_t{47} << 10;

struct Random {
  uint64_t state = 0x9e3779b97f4a7c15;
  uint32_t next() {  // xorshift64*
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return static_cast<uint32_t>((state * 0x2545f4914f6cdd1d) >> 32);
  }
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[next() % i]);
  }
};
inline Random random_order;
void seed(uint64_t number);

struct Warp {
  int arrived = 0;
  int kind = 0;  // of the collective that the lanes are in
  void* box[kWarpLanes];
};

// What all blocks of a launch share.
struct Work {
  std::function<void()> body;
  int threads = 0;
  size_t shared_bytes = 0;
  bool must_wait = false;    // every thread must wait for the launch before
  int64_t early_copies = 0;  // asked for before the wait for the launch before
  Stores late_stores;        // never fenced
};

class Block {
 public:
  explicit Block(Work& work);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void begin(unsigned index);  // as a new block, with poisoned shared memory
  // Until every thread has ended; or, unless `released`, waits for the launch before. Returns
  // whether the block has ended. Throws Error.
  bool run(bool released);

  // For its threads.
  void wait(State state);
  void fail(const std::string& what);
  bool released() const { return released_; }
  Work& work() { return work_; }
  char* shared() { return shared_; }
  void* static_shared(const void* site, size_t bytes);  // the same memory for all threads
  bool holds_shared(const void* start, size_t bytes) const;
  template <class T, class F>
  void collective(int kind, T& mine, F&& all);  // all(T**): what the 32 lanes brought
  int sm() const { return sm_; }

 private:
  struct Site {
    const void* site;
    char* memory;
  };
  Work& work_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<int> order_;  // of warps
  std::vector<char> memory_;
  std::vector<Site> sites_;
  char* shared_ = nullptr;
  char* static_end_ = nullptr;
  void* scheduler_ = nullptr;
  unsigned index_ = 0;
  int sm_ = 0;
  bool released_ = false;
  std::string error_;
  int warp_ = 0;                    // that runs
  uint32_t turn_ = 0, stride_ = 1;  // lane (turn * stride) mod 32 is next

  static void enter();  // where threads begin
  Thread* next_lane();
  void become(Thread& thread);
  void resume(Thread& thread, void** from);
  void run_warp(int warp);
  void end_thread(Thread& thread);
  bool settle();
};

inline Block* block = nullptr;    // that runs
inline Thread* thread = nullptr;  // that runs

template <class T, class F>
void Block::collective(int kind, T& mine, F&& all) {
  const int lane = static_cast<int>(thread->index) % kWarpLanes;
  Warp& warp = warps_[thread->index / kWarpLanes];
  if (warp.arrived > 0 && warp.kind != kind) fail("lanes of a warp are in different collectives");
  warp.kind = kind;
  warp.box[lane] = &mine;
  if (++warp.arrived < kWarpLanes) return wait(State::warp);
  warp.arrived = 0;
  all(reinterpret_cast<T**>(warp.box));
  Thread* const first = &threads_[thread->index - lane];
  for (int i = 0; i < kWarpLanes; ++i) first[i].state = State::ready;
}

}  // namespace shim
