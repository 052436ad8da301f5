// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/engine.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "backends/backend.hpp"
#include "graph/firing.hpp"
#include "host/subnormals.hpp"
#include "runtime/clock.hpp"

namespace pvnet {

CpuEngine::CpuEngine(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)),
      policy_(plan_->options.lanes, plan_->hyper_period, plan_->options.fixed_lanes),
      shared_lists_(*plan_),
      trace_(plan_->options.lanes),
      order_(*plan_),
      names_(*plan_),
      frames_name_(nvtx::name("frames in")),
      outputs_name_(nvtx::name("outputs")),
      io_(*plan_) {
  const auto batch = static_cast<size_t>(plan_->options.batch);
  rows_.resize(batch);
  // A kernel may load a whole vector at the last channels of the last pixel.
  constexpr int64_t kSlack = 64 * sizeof(float);
  for (RowMemory& row : rows_) {
    row.state = AlignedBytes(static_cast<size_t>(plan_->state_bytes + kSlack));
    row.scratch = AlignedBytes(static_cast<size_t>(plan_->scratch_bytes + kSlack));
  }
  due_.reserve(batch);
  for (int i = 0; i < plan_->options.lanes; ++i) {
    executors_.emplace_back(*plan_);
    if (batch > 1) lane_scratch_.emplace_back(static_cast<size_t>(plan_->scratch_bytes) + kSlack);
  }
}

// What a lane lends to a row while it runs a piece of its tick.
RowMemory::Lent CpuEngine::scratch_of(int lane) {
  return {lane_scratch_[static_cast<size_t>(lane)].data(), order_.kept(), plan_->values.data()};
}

Result<std::unique_ptr<Engine>> CpuEngine::create(std::shared_ptr<const Plan> plan) {
  std::unique_ptr<CpuEngine> engine(new CpuEngine(std::move(plan)));
  PVNET_TRY(engine->start_lanes());
  return std::unique_ptr<Engine>(std::move(engine));
}

Status CpuEngine::start_lanes() {
  try {
    const Lanes::Help help = {
        [](void* c, int lane) { static_cast<CpuEngine*>(c)->run_chunks(lane); }, this};
    auto team = Lanes::start(plan_->options.lanes, plan_->options.pin, help);
    if (!team.ok()) return team.status();
    lanes_ = std::move(team).value();
    return {};
  } catch (const std::bad_alloc&) {
    return {Code::out_of_memory,
            "[Stream] the lanes do not fit the memory of this machine: got an allocation failure, "
            "expected room for " +
                std::to_string(plan_->options.lanes) + " lanes. Use fewer lanes."};
  }
}

// Whether all lanes work on the next tick.
bool CpuEngine::shares(const Rows& rows) const {
  if (plan_->options.lanes == 1 || way() == TickWay::alone || lanes_->lost()) return false;
  for (int r = 0; r < plan_->options.batch; ++r) {
    const size_t schedule = static_cast<size_t>(rows.ticks[r] % plan_->hyper_period);
    if (rows.runs(r) && !plan_->schedule[schedule].solo) return true;
  }
  return false;
}

// The caller looks at shapes meanwhile.
void CpuEngine::prepare(const Rows& rows) {
  if (shares(rows)) lanes_->wake();
}

// Nothing of any frame is kept before all are known to be finite: what a frame replaces may be an
// output that can still be read. In a batch every row takes its frame when its turn comes: the lane
// that runs it has it in its own cache then.
Status CpuEngine::begin(const FrameView* frames, const Rows& rows) {
  if (lanes_->lost()) PVNET_TRY(start_lanes());
  const SubnormalsAsZero mode;
  io_.take(frames);
  if (io_.has_large_frames() && way() == TickWay::shared && shares(rows)) {
    Frames work{*this, rows};
    lanes_->run(
        [](void* c, int lane) {
          auto& work = *static_cast<Frames*>(c);
          work.engine.begin_shared(work, lane);
        },
        &work);
    lanes_->take_waited();  // not of the tick
    if (work.finite.load(std::memory_order_relaxed)) return {};
  }
  PVNET_TRY(check_finite(*plan_, frames, rows.mask));
  if (plan_->options.batch == 1 && rows.runs(0)) io_.load(rows_[0], 0, rows.ticks[0], {});
  return {};
}

void CpuEngine::begin_shared(Frames& frames, int lane) {
  const Part part{lane, plan_->options.lanes};
  if (!io_.are_finite(frames.rows, part)) frames.finite.store(false, std::memory_order_relaxed);
  if (plan_->options.batch > 1) return;
  lanes_->barrier(lane);
  if (!frames.finite.load(std::memory_order_relaxed)) return;
  io_.load(rows_[0], 0, frames.rows.ticks[0], part);
}

// Rows at the same tick of the hyper-period share a schedule; normally all of them do.
Status CpuEngine::tick(const Rows& rows, float* const* outputs) {
  const SubnormalsAsZero mode;
  const int64_t begin = now_ns();
  io_.want(outputs);
  lanes_used_ = 1;
  ticks_ = rows.ticks;
  due_.clear();
  for (int r = 0; r < plan_->options.batch; ++r) {
    if (rows.runs(r)) due_.push_back({ticks_[r] % plan_->hyper_period, r});
  }
  std::sort(due_.begin(), due_.end());
  const DueRow* const end = due_.data() + due_.size();
  for (active_begin_ = due_.data(); active_begin_ != end; active_begin_ = active_end_) {
    const int64_t schedule = active_begin_->schedule;
    active_end_ = active_begin_;
    while (active_end_ != end && active_end_->schedule == schedule) ++active_end_;
    schedule_ = &plan_->schedule[schedule];
    run_active();
  }
  const Lanes::Waited waited = lanes_->take_waited();
  const SharedLists::Counts counts = shared_lists_.take_counts();
  policy_.record(
      {now_ns() - begin, waited.caller_ns, waited.all_ns, counts.chunks, counts.taken_over});
  return {};
}

void CpuEngine::run_active() {
  const DueRows rows{active_begin_, active_end_};
  const int whole = order_.whole_rows(static_cast<int>(rows.size()));
  const int64_t schedule = rows.front().schedule;
  if (plan_->options.batch > 1 && order_.spans(schedule).empty()) {
    return load(rows);  // nothing is due: frames are outputs, or for later ticks
  }
  const bool solo = schedule_->solo && !order_.is_worth_lanes(schedule, whole);
  const bool single = plan_->options.lanes == 1;
  if (single || solo || way() == TickWay::alone) return run_alone(rows);
  lanes_used_ = plan_->options.lanes;
  if (way() == TickWay::flexible && rows.size() == 1) {
    load(rows);
    shared_lists_.open(schedule);
    lanes_->ask();
    return run_chunks(0);
  }
  whole_rows_ = rows.first(static_cast<size_t>(whole));
  other_rows_ = rows.subspan(static_cast<size_t>(whole));
  group_ = group_of(whole_rows_, plan_->options.lanes);
  load(whole > 0 && order_.spans(schedule).front().by_rows ? other_rows_ : rows);
  taken_.store(0, std::memory_order_relaxed);  // Lanes::run() publishes it
  lanes_->run([](void* c, int lane) { static_cast<CpuEngine*>(c)->run_lane(lane); }, this);
}

// Of rows that no lane has taken the frames of, in a batch.
void CpuEngine::load(DueRows rows) {
  if (plan_->options.batch == 1 || rows.empty()) return;
  const nvtx::Range shown(nvtx::Category::io, frames_name_, ticks_[rows.front().row]);
  for (const DueRow& r : rows) io_.load(rows_[r.row], r.row, ticks_[r.row], {});
}

void CpuEngine::store(DueRows rows, Part part) {
  const nvtx::Range shown(nvtx::Category::io, outputs_name_, ticks_[rows.front().row]);
  for (const DueRow& r : rows) io_.store(rows_[r.row], r.row, ticks_[r.row] + 1, part);
}

// The lists of one superstep need nothing of each other, so one thread may do them one by one.
void CpuEngine::run_alone(DueRows rows) {
  if (rows.size() > 1) return run_rows_alone(rows);
  load(rows);
  for (const Superstep& superstep : schedule_->supersteps) {
    for (const auto& list : superstep.lanes) run_list(list, rows, 0);
  }
}

void CpuEngine::run_rows_alone(DueRows rows) {
  for (const RowSpan& span : order_.spans(rows.front().schedule)) {
    const size_t group = span.by_rows ? group_of(rows, 1) : rows.size();
    for (size_t r = 0; r < rows.size(); r += group) {
      run_group(span, rows.subspan(r, std::min(group, rows.size() - r)), 0);
    }
  }
}

// Lanes that are held up take rows one by one, so that the others can take more of them.
size_t CpuEngine::group_of(DueRows rows, int lanes) const {
  if (way() == TickWay::flexible) return 1;
  return static_cast<size_t>(RowOrder::group_of(static_cast<int>(rows.size()), lanes));
}

// Rows that one lane runs. A row takes its frame right before its first operations, and its results
// are stored right behind the last ones: both are in the core's cache then.
void CpuEngine::run_group(const RowSpan& span, DueRows rows, int lane) {
  const std::vector<RowSpan>& spans = order_.spans(rows.front().schedule);
  for (const RowPiece& piece : span.pieces) {
    const bool first = &span == &spans.front() && &piece == &span.pieces.front();
    const bool last = &span == &spans.back() && &piece == &span.pieces.back();
    const bool together = piece.in_turn || !span.by_rows;
    const size_t step = together ? rows.size() : 1;
    for (size_t r = 0; r < rows.size(); r += step) {
      const DueRows some = rows.subspan(r, step);
      RowMemory& row = rows_[some.front().row];
      if (first) load(some);
      if (!together) row.lent = scratch_of(lane);
      run_list(piece.ranges, some, lane);
      row.lent = {};
      if (last) store(some);
    }
  }
}

void CpuEngine::run_lane(int lane) {
  if (whole_rows_.empty()) {
    run_shared(0, schedule_->supersteps.size(), other_rows_, lane);
    return store_shared(other_rows_, lane);
  }
  const std::vector<RowSpan>& spans = order_.spans(whole_rows_.front().schedule);
  const size_t groups = (whole_rows_.size() + group_ - 1) / group_;
  size_t first = 0;  // place in line of the span's first group
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) lanes_->barrier(lane);
    const RowSpan& span = spans[i];
    if (!span.by_rows) {
      run_shared(span.begin, span.end, {active_begin_, active_end_}, lane);
      continue;
    }
    run_whole_rows(span, first, lane);
    // Every lane learns once that no group is left.
    first += groups + static_cast<size_t>(plan_->options.lanes);
    if (!other_rows_.empty()) run_shared(span.begin, span.end, other_rows_, lane);
  }
  store_shared(spans.back().by_rows ? other_rows_ : DueRows{active_begin_, active_end_}, lane);
}

// Results of rows that all lanes have run.
void CpuEngine::store_shared(DueRows rows, int lane) {
  if (rows.empty() || !io_.is_wanted() || !io_.has_large_results()) return;
  lanes_->barrier(lane);
  store(rows, {lane, plan_->options.lanes});
}

// Until the tick is done. A worker may come late: then it finds less, nothing, or the next tick.
void CpuEngine::run_chunks(int lane) {
  SharedLists::Chunk chunk;
  for (;;) {
    const uint32_t turn = shared_lists_.turn();
    if (!shared_lists_.is_open()) return;
    if (!shared_lists_.take(lane, chunk)) {
      const int64_t begin = now_ns();
      const bool taken = shared_lists_.wait(lane, turn, chunk);
      lanes_->add_waited(lane, now_ns() - begin);
      if (!taken) continue;
    }
    run_list({&chunk.range, 1}, {active_begin_, active_end_}, lane);
    shared_lists_.end(chunk);
  }
}

// A lane that is done with a group of rows takes the next in line.
void CpuEngine::run_whole_rows(const RowSpan& span, size_t first, int lane) {
  for (;;) {
    const size_t row = (taken_.fetch_add(1, std::memory_order_relaxed) - first) * group_;
    if (row >= whole_rows_.size()) return;
    run_group(span, whole_rows_.subspan(row, std::min(group_, whole_rows_.size() - row)), lane);
  }
}

// The end of run(), or of the span, is the barrier after the last superstep.
void CpuEngine::run_shared(size_t begin, size_t end, DueRows rows, int lane) {
  for (size_t k = begin; k < end; ++k) {
    if (k > begin) lanes_->barrier(lane);
    run_list(schedule_->supersteps[k].lanes[static_cast<size_t>(lane)], rows, lane);
  }
}

void CpuEngine::run_list(TileRanges list, DueRows rows, int lane) {
  PlanRanges ranges(*plan_, names_, ticks_[rows.front().row]);
  for (const TileRange& range : list) {
    const nvtx::Range shown = ranges.op(range.op);
    run_range(range, rows, lane);
  }
}

void CpuEngine::run_range(const TileRange& range, DueRows rows, int lane) {
  const int64_t begin = trace_.running() ? now_ns() : 0;
  for (const DueRow& r : rows) executors_[lane].run(range, rows_[r.row], ticks_[r.row]);
  if (!trace_.running()) return;
  const int64_t tick = ticks_[rows.front().row];
  if (!is_due(plan_->ops[range.op].clock, tick)) return;
  trace_.record({tick, lane, range.op, range.lo, range.hi, begin, now_ns()});
}

}  // namespace pvnet
