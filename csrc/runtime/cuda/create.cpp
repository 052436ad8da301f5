// SPDX-License-Identifier: Apache-2.0
// A new engine: memory, cuda_streams, events, and the executor.
#include <utility>
#include <vector>

#include "backends/cuda/error.hpp"
#include "runtime/cuda/engine.hpp"
#include "runtime/cuda/trace.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kWhere = "Stream.create";

}  // namespace

CudaEngine::CudaEngine(std::shared_ptr<const Plan> plan, std::shared_ptr<const Resident> resident,
                       const Device& device)
    : plan_(std::move(plan)),
      resident_(std::move(resident)),
      device_(device),
      memory_(resident_, device) {}

Result<std::unique_ptr<Engine>> CudaEngine::create(std::shared_ptr<const Plan> plan) {
  auto device = find_device(plan->options.isa);
  if (!device.ok()) return device.status();
  const DeviceScope scope(device.value());
  PVNET_TRY(scope.status(kWhere));
  auto resident = Resident::of(plan, device.value());
  if (!resident.ok()) return resident.status();
  std::unique_ptr<CudaEngine> engine(
      new CudaEngine(std::move(plan), std::move(resident).value(), device.value()));
  PVNET_TRY(engine->prepare());
  return std::unique_ptr<Engine>(std::move(engine));
}

CudaEngine::~CudaEngine() {
  const DeviceScope scope(device_);
  // Nothing may be under way in memory that is given back.
  for (const CudaStream s : {up_.get(), compute_.get(), down_.get()}) {
    if (s != nullptr) (void)machine().synchronise(s);
  }
  for (const Turn& turn : turns_) {
    if (turn.done.get() != nullptr) (void)machine().synchronise(turn.done.get());
  }
}

Status CudaEngine::prepare() {
  for (OwnedStream* to : {&compute_, &up_, &down_}) {
    auto made = make_stream(machine(), kWhere);
    if (!made.ok()) return made.status();
    *to = std::move(made).value();
  }
  for (Turn& turn : turns_) {
    for (OwnedEvent* to : {&turn.uploaded, &turn.done, &turn.downloaded}) {
      auto made = make_event(machine(), kWhere);
      if (!made.ok()) return made.status();
      *to = std::move(made).value();
    }
  }
  auto arrived = make_event(machine(), kWhere);
  if (!arrived.ok()) return arrived.status();
  arrived_ = std::move(arrived).value();
  device_frames_.resize(plan_->input_values.size() * static_cast<size_t>(plan_->options.batch));
  last_ = shown_ = compute_.get();
  PVNET_TRY(memory_.allocate(compute_.get()));
  PVNET_TRY(wait());  // uploads do not run behind what clears the memory
  PVNET_TRY(choose_executor());
  return wait();
}

Status CudaEngine::use_executor(ExecutorKind kind) {
  pv_program program = memory_.program();
  if (trace_ != nullptr) {
    program.records = trace_->memory.as<pv_record>(trace_->records);
    program.n_records = trace_->memory.as<int32_t>(trace_->count);
    program.max_records = static_cast<int32_t>(trace_->capacity);
  }
  auto made = make_executor(kind, Launcher(device_, resident_, program));
  if (!made.ok()) return made.status();
  executor_ = std::move(made).value();
  return {};
}

Status CudaEngine::choose_executor() {
  const ExecutorKind asked = *executor_of(plan_->options.executor);
  const bool is_streams = asked == ExecutorKind::streams;
  if (!device_.facts.clock) {
    return use_executor(asked == ExecutorKind::automatic ? ExecutorKind::packed : asked);
  }
  if (asked != ExecutorKind::automatic && !is_streams) return use_executor(asked);
  int64_t ticks = 0;
  ExecutorKind best = is_streams ? asked : resident_->best();
  if (best == ExecutorKind::automatic || is_streams) PVNET_TRY(measure_stages(&ticks));
  if (best == ExecutorKind::automatic) {
    auto quickest = measure_executors(&ticks);
    if (!quickest.ok()) return quickest.status();
    best = quickest.value();
    resident_->keep_best(best);
  }
  if (ticks > 0) PVNET_TRY(memory_.clear(compute_.get()));
  return use_executor(best);
}

}  // namespace pvnet::cuda
