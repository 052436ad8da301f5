// SPDX-License-Identifier: Apache-2.0
// The bytes of one batch row: its rings (state) and its scratch, addressed by value and slot.
#pragma once

#include "plan/plan.hpp"

namespace pvnet {

struct RowMemory {
  AlignedBytes state, scratch;

  // Pixel (0, 0), channel 0 of slot `firing` mod depth.
  float* at(const Value& v, int64_t firing) {
    std::byte* base = v.persistent ? state.data() : scratch.data();
    return reinterpret_cast<float*>(base + v.offset + firing % v.depth * v.slot_bytes) +
           interior(v);
  }
  const float* at(const Value& v, int64_t firing) const {
    return const_cast<RowMemory*>(this)->at(v, firing);
  }
  // Elements from the start of a slot.
  static int64_t interior(const Value& v) {
    return v.halo_h * v.row_stride + v.halo_w * v.pixel_stride;
  }
};

}  // namespace pvnet
