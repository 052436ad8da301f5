// SPDX-License-Identifier: Apache-2.0
// Which bytes of the process a device may touch. Nothing is checked while no range is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace shim {

// Ranges must not overlap. From any thread; remove_range() takes the start of a range.
void add_range(const void* start, size_t bytes);
void remove_range(const void* start);

// A range for as long as it lives.
class Range {
 public:
  Range(const void* start, size_t bytes) : start_(start) { add_range(start, bytes); }
  ~Range() { remove_range(start_); }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  const void* start_;
};

struct Bounds {
  uintptr_t lo, hi;
};
inline Bounds last_range = {0, UINTPTR_MAX};  // where the last access was; all, where none is known
void find_range(uintptr_t at, size_t bytes, const char* what);

// Fails for an access outside of all ranges.
inline void check_global(const void* start, size_t bytes, const char* what) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(start);
  if (at < last_range.lo || at + bytes > last_range.hi) find_range(at, bytes, what);
}

}  // namespace shim
