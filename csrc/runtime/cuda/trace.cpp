// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/trace.hpp"

#include <algorithm>

#include "backends/cuda/error.hpp"
#include "runtime/clock.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kWhere = "Stream.trace_start";

}  // namespace

// The kernels of a graph know the records, so that the executor is made anew.
Status CudaEngine::trace_start(size_t capacity) {
  return guarded(kWhere, [&]() -> Status {
    PVNET_TRY(wait());
    auto trace = std::make_unique<Trace>(device_);
    trace->capacity = capacity;
    trace->records = trace->memory.reserve(static_cast<int64_t>(capacity * sizeof(pv_record)));
    trace->count = trace->memory.reserve(sizeof(int32_t));
    PVNET_TRY(trace->memory.allocate(compute_.get(), kWhere));
    trace->events.reserve(capacity);
    trace->ticks.reserve(static_cast<size_t>(plan_->options.batch));
    trace->running = true;
    std::swap(trace_, trace);
    const Status status = use_executor(executor_->kind());
    if (!status.ok()) std::swap(trace_, trace);
    return status;
  });
}

// Outside of the tick's marks, for it waits: only a tick that is traced pays for it.
Status CudaEngine::collect_trace() {
  if (trace_ == nullptr || trace_->ticks.empty()) return {};
  Trace& t = *trace_;
  int32_t count = 0;
  PVNET_TRY(wait());
  PVNET_CUDA_TRY(machine(), copy(&count, t.memory.at(t.count), sizeof(count), compute_.get()),
                 kWhere, "reading a trace");
  const size_t made = std::min(static_cast<size_t>(std::max(count, 0)), t.capacity);
  std::vector<pv_record> records(made - t.collected);
  if (!records.empty()) {
    const pv_record* from = t.memory.as<pv_record>(t.records) + t.collected;
    PVNET_CUDA_TRY(machine(),
                   copy(records.data(), from, records.size() * sizeof(pv_record), compute_.get()),
                   kWhere, "reading a trace");
  }
  PVNET_CUDA_TRY(machine(), synchronise(compute_.get()), kWhere, "reading a trace");
  if (t.collected == 0 && !records.empty()) {
    t.host_minus_device_ns = now_ns() - records.back().end_ns;
  }
  for (const pv_record& r : records) {
    t.events.push_back({t.ticks[static_cast<size_t>(r.row)], r.sm,
                        resident_->host().plan_op[static_cast<size_t>(r.op)], r.tile, r.tile + 1,
                        r.begin_ns + t.host_minus_device_ns, r.end_ns + t.host_minus_device_ns,
                        TracePlace::sm});
  }
  t.collected = made;
  t.ticks.clear();
  return {};
}

std::vector<TraceEvent> CudaEngine::trace_stop() {
  if (trace_ == nullptr) return {};
  if (trace_->running) {
    const Status status = guarded("Stream.trace_stop", [&] { return collect_trace(); });
    if (!status.ok()) failure_ = status;  // told by the next call
    trace_->running = false;
    std::stable_sort(
        trace_->events.begin(), trace_->events.end(),
        [](const TraceEvent& a, const TraceEvent& b) { return a.begin_ns < b.begin_ns; });
  }
  return trace_->events;
}

void CudaEngine::trace_clear() {
  if (trace_ == nullptr) return;
  (void)guarded("Stream.trace_stop", [&]() -> Status {
    PVNET_TRY(wait());
    const std::unique_ptr<Trace> ended = std::move(trace_);
    return use_executor(executor_->kind());
  });
}

}  // namespace pvnet::cuda
