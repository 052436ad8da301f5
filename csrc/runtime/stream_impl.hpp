// SPDX-License-Identifier: Apache-2.0
// The inside of a Stream, shared by stream.cpp (ticks) and snapshot.cpp (state in and out).
#pragma once

#include <atomic>
#include <vector>

#include "runtime/execute.hpp"
#include "runtime/lane_policy.hpp"
#include "runtime/lanes.hpp"
#include "runtime/row_memory.hpp"

#include <pvnet/stream.hpp>

namespace pvnet {

struct Stream::Impl {
  explicit Impl(std::shared_ptr<const Plan> p);

  std::shared_ptr<const Plan> plan;
  std::vector<RowMemory> rows;
  std::vector<int64_t> ticks;       // made by each row
  std::vector<Executor> executors;  // by lane
  std::unique_ptr<Lanes> lanes;
  LanePolicy policy;
  bool always_alone = false;  // tests only
  int lanes_used = 0;         // of the last tick
  mutable std::atomic_flag busy = ATOMIC_FLAG_INIT;

  // The work of one tick, read by every lane.
  std::vector<int> active;  // rows that run the current schedule
  const TickSchedule* schedule = nullptr;

  // Trace: one buffer per lane, so that no lane waits for another.
  struct LaneTrace {
    std::vector<TraceEvent> events;
    size_t used = 0;
  };
  std::vector<LaneTrace> traces;
  bool tracing = false;

  void run_lane(int lane);
  void run_alone();
  void run_active();
  void run_range(const TileRange& range, int lane);
  void load_frames(const FrameView* frames, const uint8_t* mask);
  Status check_frames(const FrameView* frames, const uint8_t* mask) const;
  void store_output(int index, int row, float* dst) const;
  void store(const TickResults& results) const;
};

// Refuses a second thread for as long as a call is inside.
class BusyGuard {
 public:
  explicit BusyGuard(std::atomic_flag& flag) : flag_(flag), mine_(!flag.test_and_set()) {}
  ~BusyGuard() {
    if (mine_) flag_.clear();
  }
  BusyGuard(const BusyGuard&) = delete;
  BusyGuard& operator=(const BusyGuard&) = delete;
  Status status(const char* where) const {
    if (mine_) return {};
    return {Code::state,
            std::string("[") + where +
                "] the stream is in use: got a call from a second thread, expected one "
                "call at a time. Do give every thread a stream of its own."};
  }

 private:
  std::atomic_flag& flag_;
  const bool mine_;
};

}  // namespace pvnet
