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

namespace {

// Whether the frames of a tick take longer to convert than lanes to meet.
bool are_large(const Plan& plan) {
  constexpr int64_t kWorthLanes = 1 << 15;
  int64_t elements = 0;
  for (const int input : plan.input_values) {
    const Shape& s = plan.values[input].shape;
    elements += int64_t{s.c} * s.h * s.w * plan.options.batch;
  }
  return elements >= kWorthLanes;
}

}  // namespace

CpuEngine::CpuEngine(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)),
      policy_(plan_->options.lanes, plan_->hyper_period, plan_->options.fixed_lanes),
      shared_lists_(*plan_),
      trace_(plan_->options.lanes),
      order_(*plan_),
      names_(*plan_),
      large_frames_(are_large(*plan_)) {
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

Status CpuEngine::begin(const FrameView* frames, const Rows& rows) {
  if (lanes_->lost()) PVNET_TRY(start_lanes());
  const SubnormalsAsZero mode;
  FrameLoad load{*this, frames, rows};
  if (large_frames_ && way() == TickWay::shared && shares(rows)) {
    lanes_->run(
        [](void* c, int lane) {
          auto& work = *static_cast<FrameLoad*>(c);
          work.engine.load_frames_shared(work, lane);
        },
        &load);
    lanes_->take_waited();  // not of the tick
    if (load.finite.load(std::memory_order_relaxed)) return {};
  }
  PVNET_TRY(check_finite(*plan_, frames, rows.mask));
  load_frames(load, 0, 1);
  return {};
}

// Nothing of any frame is kept before all are known to be finite: what a frame replaces may be an
// output that can still be read.
void CpuEngine::load_frames_shared(FrameLoad& load, int lane) {
  const int lanes = plan_->options.lanes;
  if (!are_finite(load, lane, lanes)) load.finite.store(false, std::memory_order_relaxed);
  lanes_->barrier(lane);
  if (load.finite.load(std::memory_order_relaxed)) load_frames(load, lane, lanes);
}

bool CpuEngine::are_finite(const FrameLoad& load, int part, int parts) const {
  const int batch = plan_->options.batch;
  for (size_t input = 0; input < plan_->input_values.size(); ++input) {
    for (int r = 0; r < batch; ++r) {
      if (!load.rows.runs(r)) continue;
      const FrameView& f = load.frames[input * batch + r];
      if (!is_finite(f, f.h * part / parts, f.h * (part + 1) / parts)) return false;
    }
  }
  return true;
}

// Piece `part` of `parts` of the rows of every frame.
void CpuEngine::load_frames(const FrameLoad& load, int part, int parts) {
  const int batch = plan_->options.batch;
  for (size_t input = 0; input < plan_->input_values.size(); ++input) {
    const Value& v = plan_->values[plan_->input_values[input]];
    const int lo = v.shape.h * part / parts, hi = v.shape.h * (part + 1) / parts;
    for (int r = 0; r < batch; ++r) {
      if (!load.rows.runs(r)) continue;
      const FrameView& f = load.frames[input * batch + r];
      MapView out{geometry_of(v), rows_[r].at(v, load.rows.ticks[r], lo)};
      out.g.h = hi - lo;
      if (f.type == FrameType::u8_hwc) {
        plan_->backend->kernels->load_u8(static_cast<const uint8_t*>(f.data) + lo * f.strides[0],
                                         f.strides[0], plan_->input_scale[input].data(),
                                         plan_->input_shift[input].data(), out);
      } else {
        plan_->backend->kernels->load_f32(static_cast<const float*>(f.data) + lo * f.strides[1],
                                          f.strides, out);
      }
    }
  }
}

// Rows at the same tick of the hyper-period share a schedule; normally all of them do.
Status CpuEngine::tick(const Rows& rows) {
  const SubnormalsAsZero mode;
  const int64_t begin = now_ns();
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
  const bool solo = schedule_->solo && !order_.is_worth_lanes(schedule, whole);
  const bool single = plan_->options.lanes == 1;
  if (single || solo || way() == TickWay::alone) return run_alone(rows);
  lanes_used_ = plan_->options.lanes;
  if (way() == TickWay::flexible && rows.size() == 1) {
    shared_lists_.open(schedule);
    lanes_->ask();
    return run_chunks(0);
  }
  whole_rows_ = rows.first(static_cast<size_t>(whole));
  other_rows_ = rows.subspan(static_cast<size_t>(whole));
  taken_.store(0, std::memory_order_relaxed);  // Lanes::run() publishes it
  lanes_->run([](void* c, int lane) { static_cast<CpuEngine*>(c)->run_lane(lane); }, this);
}

// The lists of one superstep need nothing of each other, so one thread may do them one by one.
void CpuEngine::run_alone(DueRows rows) {
  for (const Superstep& superstep : schedule_->supersteps) {
    for (const auto& list : superstep.lanes) {
      if (rows.size() == 1) {
        run_list(list, rows, 0);
      } else {
        run_list_by_rows(list, rows, 0);
      }
    }
  }
}

// Each row by itself, from one operation that is mostly weights to the next.
void CpuEngine::run_list_by_rows(TileRanges list, DueRows rows, int lane) {
  while (!list.empty()) {
    size_t n = 0;
    while (n < list.size() && !order_.is_mostly_weights(list[n].op)) ++n;
    for (size_t r = 0; r < rows.size(); ++r) {
      RowMemory& row = rows_[rows[r].row];
      // With several lanes the pieces are others.
      if (plan_->options.lanes == 1) row.lent = scratch_of(lane);
      run_list(list.first(n), rows.subspan(r, 1), lane);
      row.lent = {};
    }
    list = list.subspan(n);
    if (list.empty()) return;
    run_list(list.first(1), rows, lane);
    list = list.subspan(1);
  }
}

void CpuEngine::run_lane(int lane) {
  if (whole_rows_.empty()) return run_shared({0, schedule_->supersteps.size()}, other_rows_, lane);
  const std::vector<RowSpan>& spans = order_.spans(whole_rows_.front().schedule);
  size_t first = 0;  // place in line of the span's first row
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) lanes_->barrier(lane);
    const RowSpan& span = spans[i];
    if (!span.by_rows) {
      run_shared(span, {active_begin_, active_end_}, lane);
      continue;
    }
    run_whole_rows(span, first, lane);
    // Every lane learns once that no row is left.
    first += whole_rows_.size() + static_cast<size_t>(plan_->options.lanes);
    if (!other_rows_.empty()) run_shared(span, other_rows_, lane);
  }
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

// A lane that is done with a row takes the next in line.
void CpuEngine::run_whole_rows(const RowSpan& span, size_t first, int lane) {
  for (;;) {
    const size_t row = taken_.fetch_add(1, std::memory_order_relaxed) - first;
    if (row >= whole_rows_.size()) return;
    RowMemory& memory = rows_[whole_rows_[row].row];
    memory.lent = scratch_of(lane);
    for (size_t k = span.begin; k < span.end; ++k) {
      for (const auto& list : schedule_->supersteps[k].lanes) {
        run_list(list, whole_rows_.subspan(row, 1), lane);
      }
    }
    memory.lent = {};
  }
}

// The end of run(), or of the span, is the barrier after the last superstep.
void CpuEngine::run_shared(const RowSpan& span, DueRows rows, int lane) {
  for (size_t k = span.begin; k < span.end; ++k) {
    if (k > span.begin) lanes_->barrier(lane);
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
