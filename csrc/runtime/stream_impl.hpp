// SPDX-License-Identifier: Apache-2.0
// The inside of a Stream, shared by stream.cpp (ticks) and snapshot.cpp (state in and out).
#pragma once

#include <compare>
#include <vector>

#include "runtime/call_mark.hpp"
#include "runtime/execute.hpp"
#include "runtime/lane_policy.hpp"
#include "runtime/lanes.hpp"
#include "runtime/row_memory.hpp"

#include "runtime/stream.hpp"

namespace pvnet {

// A row and where it stands in the hyper-period.
struct RowPhase {
  int64_t phase = 0;
  int row = 0;
  auto operator<=>(const RowPhase&) const = default;
};

struct Stream::Impl {
  explicit Impl(std::shared_ptr<const Plan> p);
  Status start_lanes();

  std::shared_ptr<const Plan> plan;
  std::vector<RowMemory> rows;
  std::vector<int64_t> ticks;       // made by each row
  std::vector<Executor> executors;  // by lane
  std::unique_ptr<Lanes> lanes;
  LanePolicy policy;
  bool always_alone = false;  // tests only
  int lanes_used = 0;         // of the last tick
  mutable CallMark call;

  // The work of one tick, read by every lane.
  std::vector<RowPhase> due;               // rows of this tick, those of one phase side by side
  const RowPhase* active_begin = nullptr;  // rows that run the current schedule
  const RowPhase* active_end = nullptr;
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
  void run_rows(const uint8_t* mask);
  void run_range(const TileRange& range, int lane);
  void load_frames(const FrameView* frames, const uint8_t* mask);
  Status check_frames(const FrameView* frames, const uint8_t* mask) const;
  void store_output(int index, int row, float* dst) const;
  void store(const TickResults& results) const;
};

}  // namespace pvnet
