// SPDX-License-Identifier: Apache-2.0
// Frames into the rings of rows, and results out of them. Lanes may share both: each takes some
// rows of pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.hpp"
#include "runtime/cpu/row_memory.hpp"
#include "runtime/engine.hpp"

namespace pvnet {

// Piece `index` of `count`.
struct Part {
  int index = 0, count = 1;
  int of(int n) const { return static_cast<int>(int64_t{n} * index / count); }
  int end(int n) const { return static_cast<int>(int64_t{n} * (index + 1) / count); }
};

class RowIo {
 public:
  explicit RowIo(const Plan& plan);

  // Whether the frames, or the results, of a tick of all rows take longer to convert than lanes to
  // meet.
  bool has_large_frames() const { return large_frames_; }
  bool has_large_results() const { return large_results_; }

  // Of the next tick: its frames, [n_inputs * batch], and where its results go, or nullptr.
  void take(const FrameView* frames) { frames_ = frames; }
  void want(float* const* outputs);
  bool is_wanted() const { return outputs_ != nullptr; }

  bool are_finite(const Rows& rows, Part part) const;
  // What every frame of a row has for tick `tick`.
  void load(RowMemory& memory, int row, int64_t tick, Part part) const;
  // What a row gives after `ticks` ticks, if it is wanted.
  void store(const RowMemory& memory, int row, int64_t ticks, Part part);
  bool has_stored(int row) const { return stored_[static_cast<size_t>(row)] != 0; }
  void read(const RowMemory& memory, int index, int64_t ticks, Part part, float* dst) const;

 private:
  const FrameView& frame(size_t input, int row) const {
    return frames_[input * static_cast<size_t>(plan_.options.batch) + static_cast<size_t>(row)];
  }

  const Plan& plan_;
  const bool large_frames_, large_results_;
  const FrameView* frames_ = nullptr;
  float* const* outputs_ = nullptr;
  std::vector<uint8_t> stored_;  // by row
};

}  // namespace pvnet
