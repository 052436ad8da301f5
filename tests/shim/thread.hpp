// SPDX-License-Identifier: Apache-2.0
// One thread of a block: its stack, and what it has asked for and does not have yet.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace shim {

enum class State : uint8_t {
  fresh,   // has not begun
  ready,   // may go on
  warp,    // waits for the other lanes in a collective
  block,   // waits at the block's barrier
  launch,  // waits for the launch before
  done
};

// Copies from global to shared memory. One lands when its thread waits for its group, not before.
class Copies {
 public:
  void add(char* to, const char* from, int bytes, int valid) {
    flying_.push_back({to, from, bytes, valid, group_});
  }
  void commit() { ++group_; }
  // All but the newest `groups` groups land.
  void wait(int groups) {
    while (first_ < flying_.size() && flying_[first_].group + groups < group_) land(first_++);
    if (first_ == flying_.size()) flying_.clear(), first_ = 0;
  }
  bool any() const { return first_ < flying_.size(); }
  bool uncommitted() const { return any() && flying_.back().group == group_; }
  void clear() { flying_.clear(), first_ = 0, group_ = 0; }

 private:
  struct Copy {
    char* to;
    const char* from;
    int bytes, valid, group;
  };
  std::vector<Copy> flying_;
  size_t first_ = 0;
  int group_ = 0;

  void land(size_t i) {
    const Copy& c = flying_[i];
    std::memset(c.to + c.valid, 0, c.bytes - c.valid);
    if (c.valid > 0) std::memcpy(c.to, c.from, c.valid);
  }
};

// Stores that other blocks see after the thread's next fence, or when the launch has ended.
class Stores {
 public:
  void add(float* to, float value) { waiting_.push_back({to, value}); }
  void land() {
    for (const Store& s : waiting_) *s.to = s.value;
    waiting_.clear();
  }
  void move_to(Stores& other) {
    other.waiting_.insert(other.waiting_.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
  }
  void clear() { waiting_.clear(); }

 private:
  struct Store {
    float* to;
    float value;
  };
  std::vector<Store> waiting_;
};

struct Thread {
  uint32_t index = 0;
  State state = State::fresh;
  bool waited = false;  // for the launch before
  char* stack = nullptr;
  void* context = nullptr;  // where it goes on
  Copies copies;
  Stores stores;
};

}  // namespace shim
