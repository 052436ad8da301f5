// SPDX-License-Identifier: Apache-2.0
// Stages on several cuda_streams: a fork after begin, events where a stage reads another one of the
// same tick, a join in front of end.
#include <algorithm>
#include <vector>

#include "backends/cuda/arena.hpp"
#include "backends/cuda/error.hpp"
#include "runtime/cuda/assignment.hpp"
#include "runtime/cuda/executor.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kWhere = "Stream.tick";

class Streams final : public Executor {
 public:
  using Executor::Executor;
  ExecutorKind kind() const override { return ExecutorKind::streams; }
  Status prepare() override;
  Status run(CudaStream stream, const Moment& moment) override {
    return run(stream, moment, kByTurn);
  }
  Status run_captured(CudaStream stream) override { return run(stream, {}, kCapturedRequest); }

 protected:
  device::Gather gather() const override { return device::Gather::op; }

 private:
  struct Plan {
    const ResidentList* list;
    Assignment assignment;
  };
  Status run(CudaStream stream, const Moment& moment, int request);
  Status fork(CudaStream stream, const Assignment& a);
  Status join(CudaStream stream, const Assignment& a);
  Status run_launch(const Plan& plan, size_t i, CudaStream stream);
  CudaStream stream_of(size_t number, CudaStream callers) const {
    return number == 0 ? callers : streams_[number - 1].get();
  }

  std::vector<Plan> plans_;  // [1 + phase]
  std::vector<OwnedStream> streams_;
  std::vector<OwnedEvent> events_;  // of launches
  std::vector<OwnedEvent> joins_;
  OwnedEvent fork_;
};

Status Streams::prepare() {
  size_t streams = 1, launches = 0;
  for (int phase = -1; phase < launcher_.resident().phases(); ++phase) {
    const ResidentList& list = launcher_.resident().list(gather(), phase);
    const StageCosts costs = stage_costs(launcher_.resident(), plans_.size());
    plans_.push_back({&list, assign(list.list.launches, costs)});
    streams = std::max(streams, plans_.back().assignment.streams);
    launches = std::max(launches, list.list.launches.size());
  }
  const auto add_event = [&](std::vector<OwnedEvent>& to) -> Status {
    auto made = make_event(machine(), kWhere);
    if (!made.ok()) return made.status();
    to.push_back(std::move(made).value());
    return {};
  };
  for (size_t i = 1; i < streams; ++i) {
    auto made = make_stream(machine(), kWhere);
    if (!made.ok()) return made.status();
    streams_.push_back(std::move(made).value());
    PVNET_TRY(add_event(joins_));
  }
  for (size_t i = 0; i < launches; ++i) PVNET_TRY(add_event(events_));
  auto made = make_event(machine(), kWhere);
  if (!made.ok()) return made.status();
  fork_ = std::move(made).value();
  return {};
}

Status Streams::fork(CudaStream stream, const Assignment& a) {
  PVNET_CUDA_TRY(machine(), record(fork_.get(), stream), kWhere, "a fork");
  for (size_t i = 1; i < a.streams; ++i) {
    if (!a.forks[i]) continue;
    PVNET_CUDA_TRY(machine(), wait(stream_of(i, stream), fork_.get()), kWhere, "a fork");
  }
  return {};
}

Status Streams::join(CudaStream stream, const Assignment& a) {
  for (size_t i = 1; i < a.streams; ++i) {
    if (!a.joins[i]) continue;
    const Event done = joins_[i - 1].get();
    PVNET_CUDA_TRY(machine(), record(done, stream_of(i, stream)), kWhere, "a join");
    PVNET_CUDA_TRY(machine(), wait(stream, done), kWhere, "a join");
  }
  return {};
}

Status Streams::run_launch(const Plan& plan, size_t i, CudaStream callers) {
  const device::Launch& l = plan.list->list.launches[i];
  const CudaStream stream = stream_of(plan.assignment.stream[i], callers);
  for (const size_t before : plan.assignment.waits[i]) {
    PVNET_CUDA_TRY(machine(), wait(stream, events_[before].get()), kWhere, "an event");
  }
  PVNET_TRY(launcher_.launch(launcher_.tiles(*plan.list, l, false), stream));
  if (plan.assignment.awaited[i]) {
    PVNET_CUDA_TRY(machine(), record(events_[i].get(), stream), kWhere, "an event");
  }
  return {};
}

Status Streams::run(CudaStream stream, const Moment& moment, int request) {
  const Plan& plan = plans_[launcher_.resident().number_of(moment.phase)];
  PVNET_TRY(launcher_.launch(launcher_.begin(request), stream));
  PVNET_TRY(fork(stream, plan.assignment));
  {
    PlanRanges open = ranges(moment);
    for (size_t i = 0; i < plan.list->list.launches.size(); ++i) {
      const nvtx::Range range = shown(open, *plan.list, plan.list->list.launches[i]);
      PVNET_TRY(run_launch(plan, i, stream));
    }
  }
  PVNET_TRY(join(stream, plan.assignment));
  return launcher_.launch(launcher_.end(request, false), stream);
}

}  // namespace

std::unique_ptr<Executor> streams_executor(const Launcher& launcher) {
  return std::make_unique<Streams>(launcher);
}

}  // namespace pvnet::cuda
