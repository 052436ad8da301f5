// SPDX-License-Identifier: Apache-2.0
// What makes the ticks of one Stream: it holds the state of every row and runs the Plan's schedule
// where its kernels run. The Stream in front of it is the same for all: it checks what it is given,
// lets one thread in at a time, and counts the ticks of every row. An Engine checks nothing twice.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "graph/status.hpp"
#include "plan/plan.hpp"
#include "runtime/frame.hpp"
#include "runtime/trace.hpp"

namespace pvnet {

// The rows of a call: ticks[r] is how many row r has made.
struct Rows {
  const int64_t* ticks = nullptr;
  const uint8_t* mask = nullptr;  // nullptr: all run
  bool runs(int row) const { return mask == nullptr || mask[row] != 0; }
};

class DeviceTicks;  // runtime/device_ticks.hpp

class Engine {
 public:
  Engine() = default;
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // begin() and tick() of these rows are about to be called: what sleeps may get up.
  virtual void prepare(const Rows&) {}
  // The frames of tick ticks[r] of every row that runs, into its rings. Where it fails the state is
  // as it was. frames: [n_inputs * batch], checked; those that are not finite are refused here.
  virtual Status begin(const FrameView* frames, const Rows& rows) = 0;
  // That tick; the frames are still there. Nothing fails once begin() has not. Results may be
  // written to outputs[i], [batch][c][h][w], of the rows that has_stored() tells of then; nullptr:
  // nobody wants them.
  virtual Status tick(const Rows& rows, float* const* outputs) = 0;
  // Whether the last tick has written all results of the row.
  virtual bool has_stored(int /*row*/) const { return false; }
  // Output `index` of a row that has made `ticks` ticks, contiguous f32 [c][h][w].
  virtual Status read(int index, int row, int64_t ticks, float* dst) const = 0;
  // The row becomes, bit for bit, what it was when the engine was made.
  virtual Status reset(int row) = 0;

  // The state of a row in and out: plan.state_bytes of them. What no later tick reads is zero in
  // what save() gives, and is not believed by load().
  virtual Status save(int row, int64_t ticks, void* dst) const = 0;
  virtual Status load(int row, int64_t ticks, const void* src) = 0;
  // The first value of a saved state that holds a NaN or an infinity; nullptr: none.
  virtual const Value* not_finite(int64_t ticks, const void* saved) const = 0;

  // Lanes that shared the last tick; 0 before the first.
  virtual int lanes_used() const = 0;
  // Records what was done, at most `capacity` events of every lane, until trace_stop(), which gives
  // the same events until trace_clear().
  virtual Status trace_start(size_t capacity) = 0;
  virtual std::vector<TraceEvent> trace_stop() = 0;
  virtual void trace_clear() = 0;
  // What only an engine on a device can do; nullptr: this one is on the host.
  virtual DeviceTicks* device_ticks() { return nullptr; }
  // Tests only: NaN wherever no live firing lies.
  virtual void poison(int row, int64_t ticks) = 0;
};

// The engine of the plan's backend, all of its memory zero.
Result<std::unique_ptr<Engine>> make_engine(std::shared_ptr<const Plan> plan);

}  // namespace pvnet
