// SPDX-License-Identifier: Apache-2.0
#include "memory.hpp"

#include <map>
#include <mutex>

#include "block.hpp"
#include "error.hpp"

namespace shim {
namespace {

struct Ranges {
  std::mutex mutex;
  std::map<uintptr_t, uintptr_t> ends;  // by start
};
Ranges& ranges() {
  static auto* all = new Ranges;
  return *all;
}
// Makes the next access look its range up.
void forget_last(const Ranges& r) {
  last_range = r.ends.empty() ? Bounds{0, UINTPTR_MAX} : Bounds{UINTPTR_MAX, 0};
}

}  // namespace

void add_range(const void* start, size_t bytes) {
  Ranges& r = ranges();
  const std::lock_guard lock(r.mutex);
  const uintptr_t at = reinterpret_cast<uintptr_t>(start);
  r.ends[at] = at + bytes;
  forget_last(r);
}

void remove_range(const void* start) {
  Ranges& r = ranges();
  const std::lock_guard lock(r.mutex);
  r.ends.erase(reinterpret_cast<uintptr_t>(start));
  forget_last(r);
}

void find_range(uintptr_t at, size_t bytes, const char* what) {
  if (block == nullptr) return;  // a host's own use of the same functions
  Ranges& r = ranges();
  {
    const std::lock_guard lock(r.mutex);
    auto after = r.ends.upper_bound(at);
    if (after != r.ends.begin()) {
      --after;
      if (at + bytes <= after->second) {
        last_range = {after->first, after->second};
        return;
      }
    }
  }
  fail(std::string(what) + " outside of the device's memory");
}

}  // namespace shim
