// SPDX-License-Identifier: Apache-2.0
// What every lane did and when, for `pvnet trace`; of a device, what its queues and multiprocessors
// did.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pvnet {

// What `lane` of an event counts.
enum class TracePlace : uint8_t {
  lane = 0,         // threads of the host
  cuda_stream = 1,  // queues of a device: a launch from its first block to its last
  sm = 2            // multiprocessors of a device: one tile; several run on one at a time
};

// One executed tile range.
struct TraceEvent {
  int64_t tick = 0;  // of the row, the first one where several ran one after the other
  int lane = 0;
  int op = 0;  // index into plan.ops
  int lo = 0, hi = 0;
  // Steady clock; who records a device's work brings its clock to that one.
  int64_t begin_ns = 0, end_ns = 0;
  TracePlace place = TracePlace::lane;
};

// One buffer per lane, so that no lane waits for another; memory is taken by start() only.
class TraceRecorder {
 public:
  explicit TraceRecorder(int lanes) : lanes_(static_cast<size_t>(lanes)) {}

  bool running() const { return running_; }
  // At most `capacity` events of every lane; what lay there is given up once the new memory exists.
  void start(size_t capacity);
  void record(const TraceEvent& event) {
    Lane& lane = lanes_[static_cast<size_t>(event.lane)];
    if (lane.used < lane.events.size()) lane.events[lane.used++] = event;
  }
  // All lanes' events in the order of their beginnings. They stay until clear() or start(): what
  // the caller makes of them may fail.
  std::vector<TraceEvent> stop();
  void clear();

 private:
  struct Lane {
    std::vector<TraceEvent> events;
    size_t used = 0;
  };
  std::vector<Lane> lanes_;
  bool running_ = false;
};

}  // namespace pvnet
