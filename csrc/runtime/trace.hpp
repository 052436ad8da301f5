// SPDX-License-Identifier: Apache-2.0
// What every lane did and when, for `pvnet trace`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pvnet {

// One executed tile range.
struct TraceEvent {
  int64_t tick = 0;  // of the first row that ran
  int lane = 0;
  int op = 0;  // index into plan.ops
  int lo = 0, hi = 0;
  int64_t begin_ns = 0, end_ns = 0;  // steady clock
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
