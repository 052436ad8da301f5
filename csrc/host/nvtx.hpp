// SPDX-License-Identifier: Apache-2.0
// Ranges that a profiler shows, in the domain "pvnet" of NVTX. A range costs the test of a pointer
// while no profiler is attached, and that alone in a build that found no headers of NVTX.
#pragma once

#include <atomic>
#include <cstdint>

namespace pvnet::nvtx {

enum class Category : uint32_t { tick = 1, stage = 2, io = 3 };

// A name that the profiler keeps for as long as the process lives; null without a profiler.
using Name = const void*;

namespace detail {
extern std::atomic<void*> domain;  // null: no profiler is attached
void push(Category category, Name name, int64_t payload);
}  // namespace detail

// Finds out, once in a process, whether a profiler is attached: one that comes later is not seen.
// Ranges before the first call are not shown. Any thread; not inside a tick, since it may allocate.
void attach();

// Whether this build can show ranges at all.
bool built();

inline bool attached() { return detail::domain.load(std::memory_order_relaxed) != nullptr; }

Name name(const char* text);

// Of the calling thread, which must close what it opens, in the opposite order. No effect without a
// profiler.
void push(Category category, const char* text, int64_t payload);
void pop();

// Open for as long as it lives.
class Range {
 public:
  Range() : open_(false) {}  // none
  Range(Category category, Name name, int64_t payload) : open_(attached()) {
    if (open_) detail::push(category, name, payload);
  }
  ~Range() {
    if (open_) pop();
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  const bool open_;
};

}  // namespace pvnet::nvtx
