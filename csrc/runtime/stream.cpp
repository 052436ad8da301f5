// SPDX-License-Identifier: Apache-2.0
#include "runtime/stream.hpp"

#include <new>
#include <string>
#include <utility>

#include "host/memory_room.hpp"

namespace pvnet {

StreamCore::StreamCore(std::shared_ptr<const Plan> plan, std::unique_ptr<Engine> engine)
    : plan_(std::move(plan)),
      engine_(std::move(engine)),
      names_{nvtx::name("tick"), nvtx::name("frames in"), nvtx::name("outputs")},
      ticks_(static_cast<size_t>(plan_->options.batch)) {}

StreamCore::~StreamCore() = default;

Result<std::unique_ptr<StreamCore>> StreamCore::create(std::shared_ptr<const Plan> plan) {
  if (plan == nullptr) {
    return Status{Code::invalid_argument,
                  "[Stream.create] there is no plan: got null, expected a compiled plan. Call "
                  "compile first."};
  }
  nvtx::attach();
  try {
    if (plan->device == nullptr) {  // the engine of a device asks for the memory there
      PVNET_TRY(need_memory("Stream.create", "the state does not fit into memory",
                            plan->stream_bytes(), "Use a smaller batch, size or delay."));
    }
    auto engine = make_engine(plan);
    if (!engine.ok()) return engine.status();
    return std::unique_ptr<StreamCore>(new StreamCore(std::move(plan), std::move(engine).value()));
  } catch (const std::bad_alloc&) {
    return Status{Code::out_of_memory,
                  "[Stream.create] the state does not fit the memory of this machine: got an "
                  "allocation failure, expected room for every row. Use a smaller batch or size."};
  }
}

Status StreamCore::tick(const FrameView* frames, const uint8_t* mask, const TickResults* results) {
  const CallMark::Turn guard(call_);
  PVNET_TRY(guard.status("Stream.tick"));
  const int64_t shown = shown_tick(mask);
  const nvtx::Range range(nvtx::Category::tick, names_.tick, shown);
  {
    const nvtx::Range in(nvtx::Category::io, names_.frames, shown);
    engine_->prepare(rows(mask));
    PVNET_TRY(check_frames(*plan_, frames, mask));
    PVNET_TRY(engine_->begin(frames, rows(mask)));
  }
  PVNET_TRY(engine_->tick(rows(mask), results == nullptr ? nullptr : results->outputs));
  for (size_t r = 0; r < ticks_.size(); ++r) ticks_[r] += rows(mask).runs(static_cast<int>(r));
  if (results == nullptr) return {};
  const nvtx::Range out(nvtx::Category::io, names_.outputs, shown);
  for (int r = 0; r < plan_->options.batch; ++r) {
    if (!engine_->has_stored(r)) PVNET_TRY(store(*results, r));
  }
  count(results->ticks, results->valid);
  return {};
}

Status StreamCore::tick_on_device(const FrameView* frames, const uint8_t* mask,
                                  const TickOrder& order, DeviceResults* results) {
  return with_device("Stream.tick", [&](DeviceTicks& device) -> Status {
    const nvtx::Range range(nvtx::Category::tick, names_.tick, shown_tick(mask));
    PVNET_TRY(check_frames(*plan_, frames, mask));
    PVNET_TRY(device.enqueue(order, frames, rows(mask)));
    *results = device.last_results();
    if (results->turn == DeviceResults::kCaptured) return {};
    for (size_t r = 0; r < ticks_.size(); ++r) ticks_[r] += rows(mask).runs(static_cast<int>(r));
    return {};
  });
}

Status StreamCore::no_device(const char* where) const {
  return {Code::unsupported, std::string("[") + where +
                                 "] the plan's kernels run on the host: got memory of a device for "
                                 "backend \"" +
                                 plan_->options.backend +
                                 "\", expected memory of the host. Copy it to the host, or compile "
                                 "with backend=\"cuda\"."};
}

int64_t StreamCore::shown_tick(const uint8_t* mask) const {
  for (size_t r = 0; r < ticks_.size(); ++r) {
    if (rows(mask).runs(static_cast<int>(r))) return ticks_[r];
  }
  return -1;
}

Status StreamCore::store(const TickResults& results, int row) const {
  for (size_t i = 0; i < plan_->outputs.size(); ++i) {
    const Shape& s = plan_->outputs[i].shape;
    float* const to = results.outputs[i] + row * (int64_t{s.c} * s.h * s.w);
    PVNET_TRY(engine_->read(static_cast<int>(i), row, ticks_[static_cast<size_t>(row)], to));
  }
  return {};
}

void StreamCore::count(int64_t* ticks, bool* valid) const {
  for (size_t r = 0; r < ticks_.size(); ++r) {
    ticks[r] = ticks_[r] - 1;
    valid[r] = true;
    for (const OutputFacts& output : plan_->outputs) {
      valid[r] = valid[r] && ticks_[r] > output.warm_up_ticks;
    }
  }
}

Status StreamCore::read(const TickResults& results) const {
  const CallMark::Turn guard(call_);
  PVNET_TRY(guard.status("Stream.read"));
  for (int r = 0; r < plan_->options.batch; ++r) PVNET_TRY(store(results, r));
  count(results.ticks, results.valid);
  return {};
}

Status StreamCore::read_output(int index, int row, float* dst) const {
  const CallMark::Turn guard(call_);
  PVNET_TRY(guard.status("Stream.read_output"));
  if (index < 0 || index >= static_cast<int>(plan_->outputs.size()) || row < 0 ||
      row >= plan_->options.batch) {
    return {Code::invalid_argument, "[Stream.read_output] no such output or row: got output " +
                                        std::to_string(index) + " row " + std::to_string(row) +
                                        ", expected indices of the plan. Look at plan.outputs."};
  }
  return engine_->read(index, row, ticks_[row], dst);
}

bool StreamCore::valid(int index, int row) const {
  return ticks_[row] > plan_->outputs[index].warm_up_ticks;
}

int64_t StreamCore::ticks_done(int row) const { return ticks_[row]; }

int StreamCore::lanes_used() const { return engine_->lanes_used(); }

int64_t StreamCore::age_ticks(int index, int row, int stage) const {
  const auto& outputs = plan_->outputs;
  const auto inside = [](int i, size_t n) { return i >= 0 && static_cast<size_t>(i) < n; };
  if (!inside(index, outputs.size()) || !inside(row, ticks_.size()) ||
      !inside(stage, static_cast<size_t>(plan_->graph.n_stages()))) {
    return -1;
  }
  const auto& table = outputs[index].age_ticks;
  const int64_t tick = ticks_[row] - 1;
  if (tick < 0 || table.empty()) return -1;
  const int64_t settle = plan_->settle_ticks, hyper = plan_->hyper_period;
  const int64_t entry = tick < settle ? tick : settle + (tick - settle) % hyper;
  return table[entry][stage];
}

Status StreamCore::reset(const uint8_t* mask) {
  const CallMark::Turn guard(call_);
  PVNET_TRY(guard.status("Stream.reset"));
  for (size_t r = 0; r < ticks_.size(); ++r) {
    if (mask != nullptr && mask[r] == 0) continue;
    ticks_[r] = 0;
    PVNET_TRY(engine_->reset(static_cast<int>(r)));
  }
  return {};
}

Status StreamCore::trace_start(size_t capacity) {
  const CallMark::Turn guard(call_);
  PVNET_TRY(guard.status("Stream.trace_start"));
  constexpr size_t kMaxEvents = size_t{1} << 26;
  if (capacity > kMaxEvents) {
    return {Code::invalid_argument, "[Stream.trace_start] the trace is too long: got " +
                                        std::to_string(capacity) + " events, expected at most " +
                                        std::to_string(kMaxEvents) + ". Trace fewer ticks."};
  }
  return engine_->trace_start(capacity);
}

std::vector<TraceEvent> StreamCore::trace_stop() {
  const CallMark::Turn guard(call_);
  if (!guard.status("Stream.trace_stop").ok()) return {};
  return engine_->trace_stop();
}

void StreamCore::trace_clear() {
  const CallMark::Turn guard(call_);
  if (guard.status("Stream.trace_clear").ok()) engine_->trace_clear();
}

const Plan& StreamCore::plan() const { return *plan_; }
std::shared_ptr<const Plan> StreamCore::plan_ptr() const { return plan_; }

}  // namespace pvnet
