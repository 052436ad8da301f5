// SPDX-License-Identifier: Apache-2.0
// The memory of rows from the outside: results, reset, states in and out.
#include <cstring>

#include "backends/backend.hpp"
#include "graph/firing.hpp"
#include "runtime/cpu/engine.hpp"
#include "runtime/live_runs.hpp"

namespace pvnet {
Status CpuEngine::read(int index, int row, int64_t ticks, float* dst) const {
  io_.read(rows_[row], index, ticks, {}, dst);
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
  return first_not_finite(*plan_, ticks, saved);
}

// All bits set is a NaN of every dtype.
void CpuEngine::poison(int row, int64_t ticks) {
  constexpr int kNan = 0xFF;
  for (const Value& v : plan_->values) {
    const int64_t element = element_bytes(v.dtype);
    // The last `depth` firings are live; at an early tick the rest of the ring is not.
    const int64_t newest = ticks == 0 ? -1 : firing_at(v.clock, ticks - 1, 0);
    for (int slot = 0; slot < v.depth; ++slot) {
      if (v.persistent && slot <= newest) continue;
      auto* const pixels = reinterpret_cast<std::byte*>(rows_[row].at(v, slot));
      for (int y = 0; y < v.shape.h; ++y) {
        std::memset(pixels + y * v.row_stride * element, kNan,
                    static_cast<size_t>(v.shape.w * v.pixel_stride * element));
      }
    }
  }
  if (plan_->scratch_bytes > 0) {
    const auto bytes = static_cast<size_t>(plan_->scratch_bytes);
    std::memset(rows_[row].scratch.data(), kNan, bytes);
    for (AlignedBytes& scratch : lane_scratch_) std::memset(scratch.data(), kNan, bytes);
  }
}

}  // namespace pvnet
