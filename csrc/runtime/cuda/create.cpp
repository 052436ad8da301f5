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
constexpr ExecutorKind kCandidates[] = {ExecutorKind::packed,  ExecutorKind::wave,
                                        ExecutorKind::group,   ExecutorKind::graph,
                                        ExecutorKind::streams, ExecutorKind::serial};
constexpr int kWarmTicks = 3, kTimedTicks = 10;

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
  if (asked != ExecutorKind::automatic) return use_executor(asked);
  if (resident_->best() != ExecutorKind::automatic) return use_executor(resident_->best());
  if (!device_.facts.clock) return use_executor(kCandidates[0]);
  ExecutorKind best = kCandidates[0];
  double least = 0;
  int64_t ticks = 0;
  for (const ExecutorKind kind : kCandidates) {
    PVNET_TRY(use_executor(kind));
    const Result<double> ms = measure(*executor_, &ticks);
    if (!ms.ok()) return ms.status();
    if (kind != kCandidates[0] && ms.value() >= least) continue;
    best = kind;
    least = ms.value();
  }
  resident_->keep_best(best);
  PVNET_TRY(memory_.clear(compute_.get()));
  return executor_->kind() == best ? Status() : use_executor(best);
}

// Milliseconds of some ticks, on frames of zeros. *ticks: made until now.
Result<double> CudaEngine::measure(Executor& executor, int64_t* ticks) {
  auto begin = make_event(machine(), kWhere, true), end = make_event(machine(), kWhere, true);
  if (!begin.ok()) return begin.status();
  if (!end.ok()) return end.status();
  const auto batch = static_cast<size_t>(plan_->options.batch);
  std::vector<FrameView> frames;
  for (const int v : plan_->input_values) {
    const Shape& s = plan_->values[static_cast<size_t>(v)].shape;
    static const float zero = 0;
    frames.insert(frames.end(), batch, {FrameType::f32_chw, &zero, {0, 0, 0}, s.h, s.w, s.c});
  }
  const std::vector<int64_t> none(batch);
  for (int number = 0; number < kTurns; ++number) {
    PVNET_CUDA_TRY(machine(), synchronise(turns_[number].uploaded.get()), kWhere, "measuring");
    PVNET_TRY(upload(number, memory_.write_request(number, frames.data(), {none.data(), nullptr})));
    PVNET_CUDA_TRY(machine(), wait(compute_.get(), turns_[number].uploaded.get()), kWhere,
                   "measuring");
  }
  for (int i = 0; i < kWarmTicks + kTimedTicks; ++i) {
    if (i == kWarmTicks) {
      PVNET_CUDA_TRY(machine(), record(begin.value().get(), compute_.get()), kWhere, "measuring");
    }
    PVNET_TRY(executor.run(compute_.get(), static_cast<int>((*ticks)++ % plan_->hyper_period)));
  }
  PVNET_CUDA_TRY(machine(), record(end.value().get(), compute_.get()), kWhere, "measuring");
  PVNET_CUDA_TRY(machine(), synchronise(compute_.get()), kWhere, "measuring");
  float ms = 0;
  PVNET_CUDA_TRY(machine(), elapsed_ms(begin.value().get(), end.value().get(), &ms), kWhere,
                 "measuring");
  return static_cast<double>(ms);
}

}  // namespace pvnet::cuda
