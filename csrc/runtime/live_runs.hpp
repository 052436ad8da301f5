// SPDX-License-Identifier: Apache-2.0
// Where in a row's state lie the elements that a later tick may read, for every engine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "graph/firing.hpp"
#include "plan/plan.hpp"
#include "runtime/finite.hpp"

namespace pvnet {

// Elements from the start of a slot to pixel (0, 0).
inline int64_t interior(const Value& v) {
  return v.halo_h * v.row_stride + v.halo_w * v.pixel_stride;
}

// f(value, offset of the first byte, elements) for every run of elements in a row's state that a
// later tick may read: the channels of each pixel of each slot that holds a firing.
template <class F>
void for_each_live_run(const Plan& plan, int64_t ticks, const F& f) {
  for (const Value& v : plan.values) {
    if (!v.persistent || ticks == 0) continue;
    const int64_t element = element_bytes(v.dtype);
    const int64_t newest = firing_at(v.clock, ticks - 1, 0);
    const int64_t slots = std::min<int64_t>(newest + 1, v.depth);  // none before the origin
    for (int64_t slot = 0; slot < slots; ++slot) {
      const int64_t base = v.offset + slot * v.slot_bytes + interior(v) * element;
      const bool dense = v.pixel_stride == v.shape.c;
      for (int y = 0; y < v.shape.h; ++y) {
        const int64_t row = base + y * v.row_stride * element;
        if (dense) {
          f(v, row, int64_t{v.shape.w} * v.shape.c);
        } else {
          for (int x = 0; x < v.shape.w; ++x)
            f(v, row + x * v.pixel_stride * element, int64_t{v.shape.c});
        }
      }
    }
  }
}

// `to` has zeros everywhere else. Either may lie at any address.
inline void copy_live(const Plan& plan, int64_t ticks, const char* from, char* to) {
  std::memset(to, 0, static_cast<size_t>(plan.state_bytes));
  for_each_live_run(plan, ticks, [&](const Value& v, int64_t at, int64_t n) {
    std::memcpy(to + at, from + at, static_cast<size_t>(n * element_bytes(v.dtype)));
  });
}

// The first value of a saved state that holds a NaN or an infinity; nullptr: none.
inline const Value* first_not_finite(const Plan& plan, int64_t ticks, const void* saved) {
  const Value* found = nullptr;
  const char* const bytes = static_cast<const char*>(saved);
  for_each_live_run(plan, ticks, [&](const Value& v, int64_t at, int64_t n) {
    if (found == nullptr && any_not_finite(v.dtype, bytes + at, n)) found = &v;
  });
  return found;
}

}  // namespace pvnet
