// SPDX-License-Identifier: Apache-2.0
// Ticks on frames that lie in the memory of the plan's device, whose results stay there: the part
// of an Engine that only devices have. Nothing here waits for a tick but read() and not_finite().
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/status.hpp"
#include "runtime/engine.hpp"
#include "runtime/frame.hpp"

namespace pvnet {

// A cuda_stream as programs hand it on: its handle as a number. CUDA's own numbers of the default
// ones are 1 (legacy) and 2 (per thread).
using StreamNumber = uintptr_t;
constexpr StreamNumber kLegacyStream = 1, kThreadStream = 2;

// In what order a tick runs.
struct TickOrder {
  // Behind what this one has been given, and in front of what it is given next. Empty: on a
  // cuda_stream of the Stream's own.
  std::optional<StreamNumber> stream;
  // Behind what these have been given so far, too.
  std::vector<StreamNumber> after;
};

// The results of one tick on the device, until the second next tick overwrites them.
struct DeviceResults {
  static constexpr int64_t kCaptured = -1;
  int64_t turn = kCaptured;  // names them; kCaptured: of a captured tick, each replay writes them
  StreamNumber stream = 0;   // in whose order they are there
};

class DeviceTicks {
 public:
  DeviceTicks() = default;
  virtual ~DeviceTicks() = default;
  DeviceTicks(const DeviceTicks&) = delete;
  DeviceTicks& operator=(const DeviceTicks&) = delete;

  virtual int device() const = 0;
  virtual StreamNumber own_stream() const = 0;
  // frames: [n_inputs * batch], checked but for NaN and infinity. They stay as they are until the
  // tick has run. Where it fails the state is as it was.
  virtual Status enqueue(const TickOrder& order, const FrameView* frames, const Rows& rows) = 0;
  virtual DeviceResults last_results() const = 0;

  // Of results that are still there; the others are refused.
  virtual Result<const float*> data(const DeviceResults& results, int index) const = 0;
  virtual int64_t row_floats() const = 0;  // from one batch row of them to the next
  // What the cuda_stream is given from now on comes behind them.
  virtual Status make_wait(StreamNumber stream, const DeviceResults& results) const = 0;
  // As Engine::read.
  virtual Status read(const DeviceResults& results, int index, int row, float* dst) const = 0;
  // 1 + input * batch + row of the first frame that held a NaN or an infinity; 0: none did.
  virtual Status not_finite(const DeviceResults& results, int* frame) const = 0;
};

}  // namespace pvnet
