// SPDX-License-Identifier: Apache-2.0
// StreamCore: the mutable state of `batch` videos running through one Plan. One thread at a time
// may call it (a second one gets an error, never a race); its worker lanes live as long as it does.
// After the first tick nothing here allocates, locks a global or prints.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/status.hpp"
#include "host/nvtx.hpp"
#include "plan/plan.hpp"
#include "runtime/call_mark.hpp"
#include "runtime/device_ticks.hpp"
#include "runtime/engine.hpp"

namespace pvnet {

// Where tick() puts its results, so that they belong to that tick whatever other threads try.
struct TickResults {
  float* const* outputs = nullptr;  // [n_outputs], each [batch][c][h][w]
  int64_t* ticks = nullptr;         // [batch], index of each row's last tick
  bool* valid = nullptr;            // [batch], all outputs warmed up
};

class StreamCore {
 public:
  static Result<std::unique_ptr<StreamCore>> create(std::shared_ptr<const Plan> plan);
  ~StreamCore();
  StreamCore(const StreamCore&) = delete;
  StreamCore& operator=(const StreamCore&) = delete;

  // One tick of every row with rows[r] != 0 (rows == nullptr: all). frames: [n_inputs * batch], the
  // rows of an input side by side; frames of frozen rows are not read. Non-finite float frames are
  // refused before anything changes.
  Status tick(const FrameView* frames, const uint8_t* rows = nullptr,
              const TickResults* results = nullptr);
  // As tick(), on frames in the memory of the plan's device, without waiting: results stay there.
  // Non-finite float frames are found by the tick itself (DeviceTicks::not_finite). Where it is
  // captured into a graph, replays make the ticks, and nobody counts them here.
  Status tick_on_device(const FrameView* frames, const uint8_t* rows, const TickOrder& order,
                        DeviceResults* results);
  bool on_device() const { return engine_->device_ticks() != nullptr; }
  // Calls f(DeviceTicks&) in this thread's turn; refused where the kernels run on the host.
  template <class F>
  Status with_device(const char* where, F&& f) const;
  // ticks and valid of TickResults, without the outputs.
  void count(int64_t* ticks, bool* valid) const;
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
  // The same again until trace_clear() or trace_start(), so that no trace is lost where what is
  // made of it fails.
  std::vector<TraceEvent> trace_stop();
  void trace_clear();

  const Plan& plan() const;
  std::shared_ptr<const Plan> plan_ptr() const;

 private:
  friend struct StreamHooks;  // runtime/test_hooks.hpp
  StreamCore(std::shared_ptr<const Plan> plan, std::unique_ptr<Engine> engine);
  Status store(const TickResults& results, int row) const;
  Status no_device(const char* where) const;
  // What profilers show as the index of a tick: that of the first row that runs; -1: none does.
  int64_t shown_tick(const uint8_t* mask) const;
  Rows rows(const uint8_t* mask) const { return {ticks_.data(), mask}; }

  std::shared_ptr<const Plan> plan_;
  std::unique_ptr<Engine> engine_;
  const struct Names {
    nvtx::Name tick, frames, outputs;
  } names_;                     // of ranges that profilers show
  std::vector<int64_t> ticks_;  // made by each row
  mutable CallMark call_;
};

template <class F>
Status StreamCore::with_device(const char* where, F&& f) const {
  const CallMark::Turn guard(call_);
  PVNET_TRY(guard.status(where));
  DeviceTicks* const device = engine_->device_ticks();
  return device == nullptr ? no_device(where) : f(*device);
}

}  // namespace pvnet
