// SPDX-License-Identifier: Apache-2.0
// The bytes of one batch row: its rings (state) and its scratch, addressed by value and slot.
#pragma once

#include "plan/plan.hpp"
#include "runtime/live_runs.hpp"

namespace pvnet {

struct RowMemory {
  AlignedBytes state, scratch;

  // Pixel (y, 0), channel 0 of slot `firing` mod depth, as kernels take it (kernel_api.hpp).
  float* at(const Value& v, int64_t firing, int y = 0) {
    std::byte* base = v.persistent ? state.data() : scratch.data();
    return reinterpret_cast<float*>(base + v.offset + firing % v.depth * v.slot_bytes +
                                    (interior(v) + y * v.row_stride) * element_bytes(v.dtype));
  }
  const float* at(const Value& v, int64_t firing) const {
    return const_cast<RowMemory*>(this)->at(v, firing);
  }
};

}  // namespace pvnet
