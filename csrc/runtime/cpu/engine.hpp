// SPDX-License-Identifier: Apache-2.0
// The engine of host kernels (ref, cpu): rows in host memory, worker lanes that share the tiles of
// every superstep of a tick.
#pragma once

#include <atomic>
#include <compare>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/cpu/execute.hpp"
#include "runtime/cpu/lane_policy.hpp"
#include "runtime/cpu/lanes.hpp"
#include "runtime/cpu/row_io.hpp"
#include "runtime/cpu/row_memory.hpp"
#include "runtime/cpu/row_order.hpp"
#include "runtime/cpu/shared_lists.hpp"
#include "runtime/engine.hpp"
#include "runtime/plan_ranges.hpp"

namespace pvnet {

class CpuEngine final : public Engine {
 public:
  static Result<std::unique_ptr<Engine>> create(std::shared_ptr<const Plan> plan);

  void prepare(const Rows& rows) override;
  Status begin(const FrameView* frames, const Rows& rows) override;
  Status tick(const Rows& rows, float* const* outputs) override;
  bool has_stored(int row) const override { return io_.has_stored(row); }
  Status read(int index, int row, int64_t ticks, float* dst) const override;
  Status reset(int row) override;
  Status save(int row, int64_t ticks, void* dst) const override;
  Status load(int row, int64_t ticks, const void* src) override;
  const Value* not_finite(int64_t ticks, const void* saved) const override;
  int lanes_used() const override { return lanes_used_; }
  Status trace_start(size_t capacity) override {
    trace_.start(capacity);
    return {};
  }
  std::vector<TraceEvent> trace_stop() override { return trace_.stop(); }
  void trace_clear() override { trace_.clear(); }
  void poison(int row, int64_t ticks) override;

  // Tests only: every tick is made in one way, as where other programs keep the CPUs busy.
  void make_ticks(std::optional<TickWay> way) { always_ = way; }

 private:
  // A row and where it stands in the hyper-period.
  struct DueRow {
    int64_t schedule = 0;  // tick of the hyper-period
    int row = 0;
    auto operator<=>(const DueRow&) const = default;
  };

  struct Frames {
    CpuEngine& engine;
    const Rows& rows;
    std::atomic<bool> finite{true};
  };

  explicit CpuEngine(std::shared_ptr<const Plan> plan);
  Status start_lanes();
  TickWay way() const { return always_.value_or(policy_.way()); }
  bool shares(const Rows& rows) const;
  void begin_shared(Frames& frames, int lane);
  using DueRows = std::span<const DueRow>;
  using TileRanges = std::span<const TileRange>;

  void run_active();
  void run_alone(DueRows rows);
  void run_lane(int lane);
  void run_chunks(int lane);
  void run_rows_alone(DueRows rows);
  size_t group_of(DueRows rows, int lanes) const;
  void run_group(const RowSpan& span, DueRows rows, int lane);
  void run_whole_rows(const RowSpan& span, size_t first, int lane);
  void load(DueRows rows);
  void store(DueRows rows, Part part = {});
  void store_shared(DueRows rows, int lane);
  void run_shared(size_t begin, size_t end, DueRows rows, int lane);
  RowMemory::Lent scratch_of(int lane);
  void run_list(TileRanges list, DueRows rows, int lane);
  void run_range(const TileRange& range, DueRows rows, int lane);

  std::shared_ptr<const Plan> plan_;
  std::vector<RowMemory> rows_;
  std::vector<Executor> executors_;         // by lane
  std::vector<AlignedBytes> lane_scratch_;  // by lane, in a batch of several rows
  LanePolicy policy_;
  SharedLists shared_lists_;
  TraceRecorder trace_;
  const RowOrder order_;
  const PlanNames names_;
  const nvtx::Name frames_name_, outputs_name_;
  RowIo io_;
  std::optional<TickWay> always_;
  int lanes_used_ = 0;  // of the last tick

  // The work of one tick, read by every lane.
  const int64_t* ticks_ = nullptr;        // of every row
  std::vector<DueRow> due_;               // rows of this tick, those of one schedule side by side
  const DueRow* active_begin_ = nullptr;  // rows that run the current schedule
  const DueRow* active_end_ = nullptr;
  const TickSchedule* schedule_ = nullptr;
  DueRows whole_rows_, other_rows_;  // of the active ones: run by one lane each, by all lanes
  size_t group_ = 1;                 // whole rows that a lane takes at once
  std::atomic<size_t> taken_{0};     // places in line that lanes have taken

  std::unique_ptr<Lanes> lanes_;  // the last: workers that are late look at what lies above
};

}  // namespace pvnet
