// SPDX-License-Identifier: Apache-2.0
// Second step of compile(): ring depths, and where every value lies in the memory of a batch row.
#pragma once

#include "plan/plan.hpp"

namespace pvnet {

// Every read of a value: by an op (its operand segments at all taps) or by an output.
struct Reader {
  int op = -1;  // -1: an output
  Clock clock;  // ticks at which it reads
  int taps = 1, dilation = 1;
  const Segment* segment = nullptr;
};
std::vector<std::vector<Reader>> readers_of_values(const Plan& plan);

// Firings that must lie in the ring at once for this reader, the one being written counted.
int64_t needed_depth(const Plan& plan, const Value& value, const Reader& reader);

// A tick that is a multiple of the hyper-period, and later than anything the graph waits for.
int64_t settled_tick(const Plan& plan);

Status lay_out(Plan& plan);

// Firings that are looked up for the neediest input of an operation: its segments times its taps.
int64_t most_reads(const Plan& plan);

// Refuses what no machine has; lanes must be chosen.
Status check_stream_bytes(const Plan& plan);

}  // namespace pvnet
