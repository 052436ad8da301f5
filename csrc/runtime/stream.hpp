// SPDX-License-Identifier: Apache-2.0
// Stream: the mutable state of `batch` videos running through one Plan. One thread at a time may
// call it (a second one gets an error, never a race); its worker lanes live as long as it does.
// After the first tick nothing here allocates, locks a global or prints.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/status.hpp"
#include "plan/plan.hpp"

namespace pvnet {

enum class FrameType : uint8_t { u8_hwc, f32_chw };

// A frame of one batch row; borrowed for the length of the call.
struct FrameView {
  FrameType type = FrameType::f32_chw;
  const void* data = nullptr;
  int64_t strides[3] = {
      0, 0, 0};  // u8_hwc: (h, w, c) in bytes, w and c packed; f32_chw: (c, h, w) in elements
  int h = 0, w = 0, c = 0;
};

// One executed tile range, for `pvnet trace`.
struct TraceEvent {
  int64_t tick = 0;  // of the first row that ran
  int lane = 0;
  int op = 0;  // index into plan.ops
  int lo = 0, hi = 0;
  int64_t begin_ns = 0, end_ns = 0;  // steady clock
};

// Where tick() puts its results, so that they belong to that tick whatever other threads try.
struct TickResults {
  float* const* outputs = nullptr;  // [n_outputs], each [batch][c][h][w]
  int64_t* ticks = nullptr;         // [batch], index of each row's last tick
  bool* valid = nullptr;            // [batch], all outputs warmed up
};

class Stream {
 public:
  static Result<std::unique_ptr<Stream>> create(std::shared_ptr<const Plan> plan);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // One tick of every row with rows[r] != 0 (rows == nullptr: all). frames: [n_inputs * batch], the
  // rows of an input side by side; frames of frozen rows are not read. Non-finite float frames are
  // refused before anything changes.
  Status tick(const FrameView* frames, const uint8_t* rows = nullptr,
              const TickResults* results = nullptr);
  // The held results, without a tick.
  Status read(const TickResults& results) const;

  // Copies output `index` of row `row` as contiguous f32 [c][h][w]: the held value.
  Status read_output(int index, int row, float* dst) const;
  bool valid(int index, int row) const;
  // Ticks row `row` has made; its last tick index is this minus 1.
  int64_t ticks_done(int row) const;
  // Lanes that shared the last tick: those of the plan, or 1 where the caller made it alone (it was
  // too short to share, or other programs keep the CPUs busy); 0 before the first.
  int lanes_used() const;
  // Age of stage `stage` in output `index` at the row's last tick; -1: nothing contributed yet.
  int64_t age_ticks(int index, int row, int stage) const;

  Status reset(const uint8_t* rows = nullptr);
  // The whole state, versioned, movable between machines of one byte order; restore refuses the
  // snapshot of another plan and leaves the stream as it was.
  size_t snapshot_bytes() const;
  Status snapshot(void* dst, size_t size_bytes) const;
  Status restore(const void* src, size_t size_bytes);

  // Recording of what every lane did; capacity events are allocated here, not in tick().
  Status trace_start(size_t capacity);
  std::vector<TraceEvent> trace_stop();

  // Tests only: overwrites every slot that holds no live firing, and all scratch, with NaN.
  void poison_unwritten();
  // Tests only: the caller makes every tick, as where other programs keep the CPUs busy.
  void make_alone(bool alone);

  const Plan& plan() const;
  std::shared_ptr<const Plan> plan_ptr() const;

 private:
  struct Impl;
  explicit Stream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pvnet
