// SPDX-License-Identifier: Apache-2.0
// The bytes of one batch row: its rings (state) and its scratch, addressed by value and slot. A
// lane that runs a piece of a row's tick lends its own scratch: it is in that core's cache, while
// every row's own would have to come there.
#pragma once

#include "plan/plan.hpp"
#include "runtime/live_runs.hpp"

namespace pvnet {

struct RowMemory {
  AlignedBytes state, scratch;

  // A lane's scratch, null while nothing is lent; by value whether it lies in the row's own all the
  // same.
  struct Lent {
    std::byte* scratch = nullptr;
    const uint8_t* kept = nullptr;
    const Value* values = nullptr;  // of the plan
  };
  Lent lent;

  // Pixel (y, 0), channel 0 of slot `firing` mod depth, as kernels take it (kernel_api.hpp).
  float* at(const Value& v, int64_t firing, int y = 0) {
    std::byte* base = v.persistent ? state.data() : scratch_of(v);
    return reinterpret_cast<float*>(base + v.offset + firing % v.depth * v.slot_bytes +
                                    (interior(v) + y * v.row_stride) * element_bytes(v.dtype));
  }
  const float* at(const Value& v, int64_t firing) const {
    return const_cast<RowMemory*>(this)->at(v, firing);
  }

 private:
  std::byte* scratch_of(const Value& v) {
    const bool own = lent.scratch == nullptr || lent.kept[&v - lent.values] != 0;
    return own ? scratch.data() : lent.scratch;
  }
};

}  // namespace pvnet
