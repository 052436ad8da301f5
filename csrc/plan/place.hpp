// SPDX-License-Identifier: Apache-2.0
// Offsets of values that live for a while and may share memory.
#pragma once

#include <cstdint>
#include <vector>

namespace pvnet {

struct Lifetime {
  int value = -1;
  int first = 0, last = 0;  // levels, inclusive
  int64_t size = 0;
  int64_t offset = 0;  // set by place()
};

// Two lives that overlap in time do not overlap in memory. Returns the end of the memory used. The
// sum of all sizes must fit 63 bits.
int64_t place(std::vector<Lifetime>& lives);

}  // namespace pvnet
