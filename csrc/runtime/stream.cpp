// SPDX-License-Identifier: Apache-2.0
#include <pvnet/stream.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "graph/firing.hpp"
#include "host/memory_room.hpp"
#include "host/subnormals.hpp"
#include "plan/op_params.hpp"
#include "runtime/clock.hpp"
#include "runtime/stream_impl.hpp"

namespace pvnet {
namespace {

std::string shape_text(int c, int h, int w) {
  return "[" + std::to_string(c) + ", " + std::to_string(h) + ", " + std::to_string(w) + "]";
}

bool all_finite(const FrameView& f) {
  const auto* data = static_cast<const float*>(f.data);
  for (int c = 0; c < f.c; ++c) {
    for (int y = 0; y < f.h; ++y) {
      const float* row = data + c * f.strides[0] + y * f.strides[1];
      float sum = 0;  // x - x is 0 for finite x and NaN otherwise
      if (f.strides[2] == 1) {
        for (int x = 0; x < f.w; ++x) sum += row[x] - row[x];
      } else {
        for (int x = 0; x < f.w; ++x) sum += row[x * f.strides[2]] - row[x * f.strides[2]];
      }
      if (sum != 0 || std::isnan(sum)) return false;
    }
  }
  return true;
}

}  // namespace

Stream::Impl::Impl(std::shared_ptr<const Plan> p)
    : plan(std::move(p)),
      policy(plan->options.lanes, plan->hyper_period, plan->options.fixed_lanes) {
  const int batch = plan->options.batch;
  rows.resize(static_cast<size_t>(batch));
  for (RowMemory& row : rows) {
    // A kernel may load a whole vector at the last channels of the last pixel.
    constexpr int64_t kSlack = 64;
    row.state = AlignedFloats(static_cast<size_t>(plan->state_floats + kSlack));
    row.scratch = AlignedFloats(static_cast<size_t>(plan->scratch_floats + kSlack));
  }
  ticks.assign(static_cast<size_t>(batch), 0);
  due.reserve(static_cast<size_t>(batch));
  for (int i = 0; i < plan->options.lanes; ++i) executors.emplace_back(*plan);
  traces.resize(static_cast<size_t>(plan->options.lanes));
}

Status Stream::Impl::start_lanes() {
  try {
    auto team = Lanes::start(plan->options.lanes, plan->options.pin);
    if (!team.ok()) return team.status();
    lanes = std::move(team).value();
    return {};
  } catch (const std::bad_alloc&) {
    return {Code::out_of_memory,
            "[Stream] the lanes do not fit the memory of this machine: got an allocation failure, "
            "expected room for " +
                std::to_string(plan->options.lanes) + " lanes. Use fewer lanes."};
  }
}

void Stream::Impl::run_range(const TileRange& range, int lane) {
  const int64_t begin = tracing ? now_ns() : 0;
  for (const RowPhase* r = active_begin; r != active_end; ++r) {
    executors[lane].run(range, rows[r->row], ticks[r->row]);
  }
  if (!tracing) return;
  LaneTrace& trace = traces[lane];
  const int64_t tick = ticks[active_begin->row];
  if (trace.used == trace.events.size() || !is_due(plan->ops[range.op].clock, tick)) return;
  trace.events[trace.used++] = {tick, lane, range.op, range.lo, range.hi, begin, now_ns()};
}

void Stream::Impl::run_lane(int lane) {
  const auto& phases = schedule->phases;
  for (size_t p = 0; p < phases.size(); ++p) {
    for (const TileRange& range : phases[p].lanes[lane]) run_range(range, lane);
    // The end of run() is the barrier after the last phase.
    if (p + 1 < phases.size()) lanes->barrier(lane);
  }
}

// The lists of one phase need nothing of each other, so one thread may do them one by one.
void Stream::Impl::run_alone() {
  for (const Phase& phase : schedule->phases) {
    for (const auto& list : phase.lanes) {
      for (const TileRange& range : list) run_range(range, 0);
    }
  }
}

void Stream::Impl::run_active() {
  if (schedule->solo || policy.alone() || always_alone) return run_alone();
  lanes_used = plan->options.lanes;
  lanes->run([](void* c, int lane) { static_cast<Impl*>(c)->run_lane(lane); }, this);
}

// Rows at the same place in the hyper-period share a schedule; normally all of them do.
void Stream::Impl::run_rows(const uint8_t* mask) {
  due.clear();
  for (int r = 0; r < plan->options.batch; ++r) {
    if (mask == nullptr || mask[r] != 0) due.push_back({ticks[r] % plan->hyper_period, r});
  }
  std::sort(due.begin(), due.end());
  const RowPhase* const end = due.data() + due.size();
  for (active_begin = due.data(); active_begin != end; active_begin = active_end) {
    const int64_t phase = active_begin->phase;
    active_end = active_begin;
    while (active_end != end && active_end->phase == phase) ++active_end;
    schedule = &plan->schedule[phase];
    run_active();
  }
}

Status Stream::Impl::check_frames(const FrameView* frames, const uint8_t* mask) const {
  const int batch = plan->options.batch;
  for (size_t i = 0; i < plan->input_values.size(); ++i) {
    const Value& v = plan->values[plan->input_values[i]];
    const Node& node = plan->graph.nodes()[v.node];
    for (int r = 0; r < batch; ++r) {
      if (mask != nullptr && mask[r] == 0) continue;
      const FrameView& f = frames[i * batch + r];
      if (f.data == nullptr) {
        return {Code::invalid_argument, "[Stream.tick] a frame is missing: got null for input '" +
                                            node.name + "' row " + std::to_string(r) +
                                            ", expected pixels. Pass a frame for every row that "
                                            "runs, or freeze the row."};
      }
      if (f.h != v.shape.h || f.w != v.shape.w || f.c != v.shape.c) {
        return {Code::invalid_argument,
                "[Stream.tick] the frame has the wrong size for input '" + node.name + "': got " +
                    shape_text(f.c, f.h, f.w) + ", expected " +
                    shape_text(v.shape.c, v.shape.h, v.shape.w) +
                    " (channels, height, width). Resize the frame, or compile for its size."};
      }
      if (f.type == FrameType::u8_hwc && (f.strides[2] != 1 || f.strides[1] != f.c)) {
        return {Code::invalid_argument,
                "[Stream.tick] the pixels of a uint8 frame are not packed: got strides " +
                    shape_text(static_cast<int>(f.strides[0]), static_cast<int>(f.strides[1]),
                               static_cast<int>(f.strides[2])) +
                    " bytes, expected [any, " + std::to_string(f.c) +
                    ", 1]. Make a contiguous copy."};
      }
      const int64_t row_bytes = int64_t{f.w} * f.c;
      if (f.type == FrameType::u8_hwc && f.h > 1 && f.strides[0] > -row_bytes &&
          f.strides[0] < row_bytes) {
        return {Code::invalid_argument,
                "[Stream.tick] the rows of a uint8 frame overlap in input '" + node.name +
                    "': got a pitch of " + std::to_string(f.strides[0]) +
                    " bytes, expected at least " + std::to_string(row_bytes) +
                    ". Pass the bytes from one row of the image to the next."};
      }
      if (f.type == FrameType::f32_chw && !all_finite(f)) {
        return {
            Code::invalid_argument,
            "[Stream.tick] the frame holds values that are not numbers: got NaN or Inf in input "
            "'" +
                node.name + "' row " + std::to_string(r) +
                ", expected finite values. Drop or repair the frame; the stream is "
                "unchanged."};
      }
    }
  }
  return {};
}

void Stream::Impl::load_frames(const FrameView* frames, const uint8_t* mask) {
  const int batch = plan->options.batch;
  size_t input = 0;
  for (const int value : plan->input_values) {
    const Value& v = plan->values[value];
    const auto& scale = plan->input_scale[input];
    const auto& shift = plan->input_shift[input];
    for (int r = 0; r < batch; ++r) {
      if (mask != nullptr && mask[r] == 0) continue;
      const FrameView& f = frames[input * batch + r];
      const MapView out{geometry_of(v), rows[r].at(v, ticks[r])};
      if (f.type == FrameType::u8_hwc) {
        const auto* src = static_cast<const uint8_t*>(f.data);
        plan->backend->load_u8(src, f.strides[0], scale.data(), shift.data(), out);
      } else {
        plan->backend->load_f32(static_cast<const float*>(f.data), f.strides, out);
      }
    }
    ++input;
  }
}

void Stream::Impl::store_output(int index, int row, float* dst) const {
  const int64_t tick = ticks[row] - 1;
  for (const Segment& seg : plan->outputs[index].source) {
    const Value& v = plan->values[seg.value];
    const int64_t firing = tick < 0 ? -1 : resolve_firing(seg, tick, 0);
    plan->backend->store_f32(geometry_of(v), firing < 0 ? nullptr : rows[row].at(v, firing), dst);
    dst += static_cast<int64_t>(v.shape.c) * v.shape.h * v.shape.w;
  }
}

void Stream::Impl::store(const TickResults& results) const {
  const auto& outputs = plan->outputs;
  for (int r = 0; r < plan->options.batch; ++r) {
    bool valid = true;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Shape& s = outputs[i].shape;
      const int64_t size = static_cast<int64_t>(s.c) * s.h * s.w;
      store_output(static_cast<int>(i), r, results.outputs[i] + r * size);
      valid = valid && ticks[r] > outputs[i].warm_up_ticks;
    }
    results.ticks[r] = ticks[r] - 1;
    results.valid[r] = valid;
  }
}

Stream::Stream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Stream::~Stream() = default;

Result<std::unique_ptr<Stream>> Stream::create(std::shared_ptr<const Plan> plan) {
  if (plan == nullptr) {
    return Status{Code::invalid_argument,
                  "[Stream.create] there is no plan: got null, expected a compiled plan. Call "
                  "compile first."};
  }
  try {
    PVNET_TRY(need_memory("Stream.create", "the state does not fit into memory",
                          plan->stream_bytes(), "Use a smaller batch, size or delay."));
    auto impl = std::make_unique<Impl>(std::move(plan));
    PVNET_TRY(impl->start_lanes());
    return std::unique_ptr<Stream>(new Stream(std::move(impl)));
  } catch (const std::bad_alloc&) {
    return Status{Code::out_of_memory,
                  "[Stream.create] the state does not fit the memory of this machine: got an "
                  "allocation failure, expected room for every row. Use a smaller batch or size."};
  }
}

Status Stream::tick(const FrameView* frames, const uint8_t* mask, const TickResults* results) {
  Impl& s = *impl_;
  const CallMark::Turn guard(s.call);
  PVNET_TRY(guard.status("Stream.tick"));
  PVNET_TRY(s.check_frames(frames, mask));
  if (s.lanes->lost()) PVNET_TRY(s.start_lanes());
  const SubnormalsAsZero mode;
  s.load_frames(frames, mask);

  const int64_t begin = now_ns();
  s.lanes_used = 1;
  s.run_rows(mask);
  s.policy.record(now_ns() - begin, s.lanes->take_waited_ns());
  for (const RowPhase& r : s.due) ++s.ticks[r.row];
  if (results != nullptr) s.store(*results);
  return {};
}

Status Stream::read_output(int index, int row, float* dst) const {
  const Impl& s = *impl_;
  const CallMark::Turn guard(s.call);
  PVNET_TRY(guard.status("Stream.read_output"));
  if (index < 0 || index >= static_cast<int>(s.plan->outputs.size()) || row < 0 ||
      row >= s.plan->options.batch) {
    return {Code::invalid_argument, "[Stream.read_output] no such output or row: got output " +
                                        std::to_string(index) + " row " + std::to_string(row) +
                                        ", expected indices of the plan. Look at plan.outputs."};
  }
  s.store_output(index, row, dst);
  return {};
}

Status Stream::read(const TickResults& results) const {
  const CallMark::Turn guard(impl_->call);
  PVNET_TRY(guard.status("Stream.read"));
  impl_->store(results);
  return {};
}

bool Stream::valid(int index, int row) const {
  return impl_->ticks[row] > impl_->plan->outputs[index].warm_up_ticks;
}

int64_t Stream::ticks_done(int row) const { return impl_->ticks[row]; }

int Stream::lanes_used() const { return impl_->lanes_used; }

void Stream::make_alone(bool alone) { impl_->always_alone = alone; }

int64_t Stream::age_ticks(int index, int row, int stage) const {
  const auto& outputs = impl_->plan->outputs;
  const auto inside = [](int i, size_t n) { return i >= 0 && static_cast<size_t>(i) < n; };
  if (!inside(index, outputs.size()) || !inside(row, impl_->ticks.size()) ||
      !inside(stage, static_cast<size_t>(impl_->plan->graph.n_stages()))) {
    return -1;
  }
  const auto& table = outputs[index].age_ticks;
  const int64_t tick = impl_->ticks[row] - 1;
  if (tick < 0 || table.empty()) return -1;
  const int64_t settle = impl_->plan->settle_ticks, hyper = impl_->plan->hyper_period;
  const int64_t entry = tick < settle ? tick : settle + (tick - settle) % hyper;
  return table[entry][stage];
}

Status Stream::reset(const uint8_t* mask) {
  const CallMark::Turn guard(impl_->call);
  PVNET_TRY(guard.status("Stream.reset"));
  // A firing before the first is never read, but halos are, and nothing of the old video should lie
  // about: the row becomes what create() made.
  for (size_t r = 0; r < impl_->ticks.size(); ++r) {
    if (mask != nullptr && mask[r] == 0) continue;
    impl_->ticks[r] = 0;
    impl_->rows[r].state.clear();
    impl_->rows[r].scratch.clear();
  }
  return {};
}

Status Stream::trace_start(size_t capacity) {
  const CallMark::Turn guard(impl_->call);
  PVNET_TRY(guard.status("Stream.trace_start"));
  constexpr size_t kMaxEvents = size_t{1} << 26;
  if (capacity > kMaxEvents) {
    return {Code::invalid_argument, "[Stream.trace_start] the trace is too long: got " +
                                        std::to_string(capacity) + " events, expected at most " +
                                        std::to_string(kMaxEvents) + ". Trace fewer ticks."};
  }
  // All of them before any is given up for its new one: an allocation may fail.
  std::vector<Impl::LaneTrace> fresh(impl_->traces.size());
  for (Impl::LaneTrace& t : fresh) t.events.resize(capacity);
  impl_->traces = std::move(fresh);
  impl_->tracing = true;
  return {};
}

std::vector<TraceEvent> Stream::trace_stop() {
  std::vector<TraceEvent> all;
  const CallMark::Turn guard(impl_->call);
  if (!guard.status("Stream.trace_stop").ok()) return all;
  impl_->tracing = false;
  for (auto& t : impl_->traces) {
    all.insert(all.end(), t.events.begin(), t.events.begin() + static_cast<int64_t>(t.used));
    t.events = {};
    t.used = 0;
  }
  std::sort(all.begin(), all.end(), [](const TraceEvent& a, const TraceEvent& b) {
    return a.begin_ns < b.begin_ns || (a.begin_ns == b.begin_ns && a.lane < b.lane);
  });
  return all;
}

void Stream::poison_unwritten() {
  Impl& s = *impl_;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (size_t r = 0; r < s.rows.size(); ++r) {
    for (const Value& v : s.plan->values) {
      // The last `depth` firings are live; at an early tick the rest of the ring is not.
      const int64_t newest = s.ticks[r] == 0 ? -1 : firing_at(v.clock, s.ticks[r] - 1, 0);
      for (int slot = 0; slot < v.depth; ++slot) {
        if (v.persistent && slot <= newest) continue;
        for (int y = 0; y < v.shape.h; ++y) {
          float* row = s.rows[r].at(v, slot) + y * v.row_stride;
          std::fill(row, row + v.shape.w * v.pixel_stride, nan);
        }
      }
    }
    if (s.plan->scratch_floats > 0) {
      std::fill_n(s.rows[r].scratch.data(), s.plan->scratch_floats, nan);
    }
  }
}

const Plan& Stream::plan() const { return *impl_->plan; }
std::shared_ptr<const Plan> Stream::plan_ptr() const { return impl_->plan; }

}  // namespace pvnet
