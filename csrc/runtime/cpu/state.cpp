// SPDX-License-Identifier: Apache-2.0
// The memory of rows from the outside: results, reset, states in and out.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backends/backend.hpp"
#include "graph/firing.hpp"
#include "runtime/cpu/engine.hpp"

namespace pvnet {
namespace {

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

// f(value, offset of the first byte, floats) for every run of floats in a row's state that a later
// tick may read: the channels of each pixel of each slot that holds a firing.
template <class F>
void for_each_live_run(const Plan& plan, int64_t ticks, const F& f) {
  for (const Value& v : plan.values) {
    if (!v.persistent || ticks == 0) continue;
    const int64_t newest = firing_at(v.clock, ticks - 1, 0);
    const int64_t slots = std::min<int64_t>(newest + 1, v.depth);  // none before the origin
    for (int64_t slot = 0; slot < slots; ++slot) {
      const int64_t base = v.offset + slot * v.slot_bytes + RowMemory::interior(v) * kFloat;
      const bool dense = v.pixel_stride == v.shape.c;
      for (int y = 0; y < v.shape.h; ++y) {
        const int64_t row = base + y * v.row_stride * kFloat;
        if (dense) {
          f(v, row, int64_t{v.shape.w} * v.shape.c);
        } else {
          for (int x = 0; x < v.shape.w; ++x)
            f(v, row + x * v.pixel_stride * kFloat, int64_t{v.shape.c});
        }
      }
    }
  }
}

// `to` has zeros everywhere else. Either may lie at any address.
void copy_live(const Plan& plan, int64_t ticks, const char* from, char* to) {
  std::memset(to, 0, static_cast<size_t>(plan.state_bytes));
  for_each_live_run(plan, ticks, [&](const Value&, int64_t at, int64_t n) {
    std::memcpy(to + at, from + at, static_cast<size_t>(n * kFloat));
  });
}

}  // namespace

Status CpuEngine::read(int index, int row, int64_t ticks, float* dst) const {
  const int64_t tick = ticks - 1;
  for (const Segment& seg : plan_->outputs[index].source) {
    const Value& v = plan_->values[seg.value];
    const int64_t firing = tick < 0 ? -1 : resolve_firing(seg, tick, 0);
    plan_->backend->kernels->store_f32(geometry_of(v),
                                       firing < 0 ? nullptr : rows_[row].at(v, firing), dst);
    dst += static_cast<int64_t>(v.shape.c) * v.shape.h * v.shape.w;
  }
  return {};
}

// A firing before the first is never read, but halos are, and nothing of the old video should lie
// about.
Status CpuEngine::reset(int row) {
  rows_[row].state.clear();
  rows_[row].scratch.clear();
  return {};
}

Status CpuEngine::save(int row, int64_t ticks, void* dst) const {
  copy_live(*plan_, ticks, reinterpret_cast<const char*>(rows_[row].state.data()),
            static_cast<char*>(dst));
  return {};
}

Status CpuEngine::load(int row, int64_t ticks, const void* src) {
  copy_live(*plan_, ticks, static_cast<const char*>(src),
            reinterpret_cast<char*>(rows_[row].state.data()));
  return {};
}

const Value* CpuEngine::not_finite(int64_t ticks, const void* saved) const {
  const Value* found = nullptr;
  const char* const bytes = static_cast<const char*>(saved);
  for_each_live_run(*plan_, ticks, [&](const Value& v, int64_t at, int64_t n) {
    float sum = 0;  // x - x is 0 for finite x and NaN otherwise
    for (int64_t i = 0; i < n; ++i) {
      float x;
      std::memcpy(&x, bytes + at + i * kFloat, sizeof(x));
      sum += x - x;
    }
    if (found == nullptr && std::isnan(sum)) found = &v;
  });
  return found;
}

void CpuEngine::poison(int row, int64_t ticks) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Value& v : plan_->values) {
    // The last `depth` firings are live; at an early tick the rest of the ring is not.
    const int64_t newest = ticks == 0 ? -1 : firing_at(v.clock, ticks - 1, 0);
    for (int slot = 0; slot < v.depth; ++slot) {
      if (v.persistent && slot <= newest) continue;
      for (int y = 0; y < v.shape.h; ++y) {
        float* line = rows_[row].at(v, slot) + y * v.row_stride;
        std::fill(line, line + v.shape.w * v.pixel_stride, nan);
      }
    }
  }
  if (plan_->scratch_bytes > 0) {
    std::fill_n(rows_[row].scratch.floats(), plan_->scratch_bytes / kFloat, nan);
  }
}

}  // namespace pvnet
