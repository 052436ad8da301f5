// SPDX-License-Identifier: Apache-2.0
#include "block.hpp"

#include <cstdio>
#include <cstdlib>

#include "error.hpp"
#include "stack.hpp"

namespace shim {
namespace {

constexpr size_t kStaticBytes = 1024;
constexpr uintptr_t kAlign = 128;
constexpr int kSms = 4;

}  // namespace

void seed(uint64_t number) {
  random_order.state = number * 0x9e3779b97f4a7c15 + 0x7f4a7c159e3779b9;
  for (int i = 0; i < 4; ++i) random_order.next();
}

void fail(const std::string& what) {
  if (block == nullptr) throw Error("[shim] " + what + ".");
  block->fail(what);
  std::abort();  // fail() of a block does not return
}

void fail_hard(const char* what) {
  std::fprintf(stderr, "[shim] %s.\n", what);
  std::abort();
}

Block::Block(Work& work)
    : work_(work),
      threads_(work.threads),
      warps_(work.threads / kWarpLanes),
      memory_(work.shared_bytes + kStaticBytes + 2 * kAlign) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(memory_.data());
  shared_ = memory_.data() + (kAlign - start % kAlign);
  for (size_t w = 0; w < warps_.size(); ++w) order_.push_back(static_cast<int>(w));
}

Block::~Block() {
  for (Thread& t : threads_) {
    if (t.stack != nullptr) give_stack(t.stack);
  }
}

void Block::begin(unsigned index) {
  index_ = index;
  sm_ = static_cast<int>(random_order.next() % kSms);
  released_ = false;
  sites_.clear();
  static_end_ = shared_ + (work_.shared_bytes + kAlign - 1) / kAlign * kAlign;
  std::memset(shared_, 0xff, memory_.data() + memory_.size() - shared_);  // NaN in every format
  for (Warp& w : warps_) w.arrived = 0;
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread& t = threads_[i];
    t.index = static_cast<uint32_t>(i);
    t.state = State::fresh;
    t.waited = false;
    t.copies.clear();
    t.stores.clear();
  }
}

void* Block::static_shared(const void* site, size_t bytes) {
  for (const Site& s : sites_) {
    if (s.site == site) return s.memory;
  }
  char* const memory = static_end_;
  static_end_ += (bytes + kAlign - 1) / kAlign * kAlign;
  if (static_end_ > memory_.data() + memory_.size()) fail("too much static shared memory");
  sites_.push_back({site, memory});
  return memory;
}

bool Block::holds_shared(const void* start, size_t bytes) const {
  const char* const at = static_cast<const char*>(start);
  return at >= shared_ && at + bytes <= shared_ + work_.shared_bytes;
}

Thread* Block::next_lane() {
  Thread* const lanes = &threads_[static_cast<size_t>(warp_) * kWarpLanes];
  for (int i = 0; i < kWarpLanes; ++i) {
    Thread& t = lanes[turn_++ * stride_ % kWarpLanes];
    if (t.state == State::launch && released_) t.state = State::ready;
    if (t.state == State::ready || t.state == State::fresh) return &t;
  }
  return nullptr;
}

void Block::become(Thread& t) {
  thread = &t;
  threadIdx = {t.index, 0, 0};
}

void Block::resume(Thread& t, void** from) {
  become(t);
  if (t.state == State::fresh) {
    t.state = State::ready;
    t.stack = take_stack();
    t.context = prepare_stack(t.stack, &Block::enter);
  }
  pv_shim_switch_stack(from, t.context);
}

// A thread that ends hands its stack to one that begins: launches without barriers run on one.
void Block::enter() {
  for (;;) {
    block->work_.body();
    Thread& ended = *thread;
    block->end_thread(ended);
    Thread* const next = block->next_lane();
    if (next != nullptr && next->state == State::fresh) {
      next->state = State::ready;
      std::swap(next->stack, ended.stack);
      block->become(*next);
      continue;
    }
    give_stack(ended.stack);
    ended.stack = nullptr;
    void* nowhere;
    if (next == nullptr) pv_shim_switch_stack(&nowhere, block->scheduler_);
    block->resume(*next, &nowhere);
  }
}

void Block::end_thread(Thread& t) {
  if (t.copies.uncommitted()) fail("a copy without a commit");
  if (t.copies.any()) fail("a copy is under way where its thread ends");
  if (work_.must_wait && !t.waited) fail("a thread ends without waiting for the launch before");
  t.stores.move_to(work_.late_stores);
  t.state = State::done;
}

void Block::wait(State state) {
  Thread& me = *thread;
  me.state = state;
  Thread* const next = next_lane();
  if (next == &me) return become(me);
  if (next == nullptr) {
    pv_shim_switch_stack(&me.context, scheduler_);
  } else {
    resume(*next, &me.context);
  }
}

void Block::fail(const std::string& what) {
  error_ = "[shim] block " + std::to_string(index_) + ", thread " + std::to_string(thread->index) +
           ": " + what + ".";
  pv_shim_switch_stack(&thread->context, scheduler_);  // and never comes back
}

void Block::run_warp(int warp) {
  warp_ = warp;
  const uint32_t chance = random_order.next();
  turn_ = chance >> 8;
  stride_ = chance | 1;
  Thread* const first = next_lane();
  if (first == nullptr) return;
  resume(*first, &scheduler_);
  if (!error_.empty()) {
    block = nullptr;
    throw Error(error_);
  }
}

// Opens the barrier that every thread has come to. False: no thread can go on.
bool Block::settle() {
  size_t at_barrier = 0, at_launch = 0, in_warp = 0;
  for (const Thread& t : threads_) {
    at_barrier += t.state == State::block;
    at_launch += t.state == State::launch;
    in_warp += t.state == State::warp;
  }
  if (at_barrier == threads_.size()) {
    for (Thread& t : threads_) t.state = State::ready;
    return true;
  }
  if (at_launch == 0 && at_barrier + in_warp > 0) {
    const char* what = in_warp > 0 ? "a warp's lanes meet in no collective"
                                   : "threads miss a barrier that others wait at";
    block = nullptr;
    throw Error("[shim] block " + std::to_string(index_) + ": " + what + ".");
  }
  return false;
}

bool Block::run(bool released) {
  block = this;
  blockIdx = {index_, 0, 0};
  released_ = released;
  do {
    random_order.shuffle(order_);
    for (const int w : order_) run_warp(w);
  } while (settle());
  block = nullptr;
  for (const Thread& t : threads_) {
    if (t.state != State::done) return false;
  }
  return true;
}

}  // namespace shim
