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
      trace_(plan_->options.lanes),
      names_(*plan_) {
  const auto batch = static_cast<size_t>(plan_->options.batch);
  rows_.resize(batch);
  for (RowMemory& row : rows_) {
    // A kernel may load a whole vector at the last channels of the last pixel.
    constexpr int64_t kSlack = 64 * sizeof(float);
    row.state = AlignedBytes(static_cast<size_t>(plan_->state_bytes + kSlack));
    row.scratch = AlignedBytes(static_cast<size_t>(plan_->scratch_bytes + kSlack));
  }
  due_.reserve(batch);
  for (int i = 0; i < plan_->options.lanes; ++i) executors_.emplace_back(*plan_);
}

Result<std::unique_ptr<Engine>> CpuEngine::create(std::shared_ptr<const Plan> plan) {
  std::unique_ptr<CpuEngine> engine(new CpuEngine(std::move(plan)));
  PVNET_TRY(engine->start_lanes());
  return std::unique_ptr<Engine>(std::move(engine));
}

Status CpuEngine::start_lanes() {
  try {
    auto team = Lanes::start(plan_->options.lanes, plan_->options.pin);
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

Status CpuEngine::begin(const FrameView* frames, const Rows& rows) {
  if (lanes_->lost()) PVNET_TRY(start_lanes());
  const SubnormalsAsZero mode;
  const int batch = plan_->options.batch;
  for (size_t input = 0; input < plan_->input_values.size(); ++input) {
    const Value& v = plan_->values[plan_->input_values[input]];
    for (int r = 0; r < batch; ++r) {
      if (!rows.runs(r)) continue;
      const FrameView& f = frames[input * batch + r];
      const MapView out{geometry_of(v), rows_[r].at(v, rows.ticks[r])};
      if (f.type == FrameType::u8_hwc) {
        plan_->backend->kernels->load_u8(static_cast<const uint8_t*>(f.data), f.strides[0],
                                         plan_->input_scale[input].data(),
                                         plan_->input_shift[input].data(), out);
      } else {
        plan_->backend->kernels->load_f32(static_cast<const float*>(f.data), f.strides, out);
      }
    }
  }
  return {};
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
  policy_.record(now_ns() - begin, lanes_->take_waited_ns());
  return {};
}

void CpuEngine::run_active() {
  if (schedule_->solo || policy_.alone() || always_alone_) return run_alone();
  lanes_used_ = plan_->options.lanes;
  lanes_->run([](void* c, int lane) { static_cast<CpuEngine*>(c)->run_lane(lane); }, this);
}

// The lists of one superstep need nothing of each other, so one thread may do them one by one.
void CpuEngine::run_alone() {
  for (const Superstep& superstep : schedule_->supersteps) {
    for (const auto& list : superstep.lanes) run_list(list, 0);
  }
}

void CpuEngine::run_lane(int lane) {
  const auto& supersteps = schedule_->supersteps;
  for (size_t k = 0; k < supersteps.size(); ++k) {
    run_list(supersteps[k].lanes[lane], lane);
    // The end of run() is the barrier after the last superstep.
    if (k + 1 < supersteps.size()) lanes_->barrier(lane);
  }
}

void CpuEngine::run_list(const std::vector<TileRange>& list, int lane) {
  PlanRanges ranges(*plan_, names_, ticks_[active_begin_->row]);
  for (const TileRange& range : list) {
    const nvtx::Range shown = ranges.op(range.op);
    run_range(range, lane);
  }
}

void CpuEngine::run_range(const TileRange& range, int lane) {
  const int64_t begin = trace_.running() ? now_ns() : 0;
  for (const DueRow* r = active_begin_; r != active_end_; ++r) {
    executors_[lane].run(range, rows_[r->row], ticks_[r->row]);
  }
  if (!trace_.running()) return;
  const int64_t tick = ticks_[active_begin_->row];
  if (!is_due(plan_->ops[range.op].clock, tick)) return;
  trace_.record({tick, lane, range.op, range.lo, range.hi, begin, now_ns()});
}

}  // namespace pvnet
