// SPDX-License-Identifier: Apache-2.0
// Stages on several cuda_streams: a fork after begin, events where a stage reads another one of the
// same tick, a join in front of end.
#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "backends/cuda/arena.hpp"
#include "backends/cuda/error.hpp"
#include "runtime/cuda/executor.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kWhere = "Stream.tick";
constexpr size_t kMostStreams = 8;  // more launches than that do not run side by side

// Which cuda_stream each launch goes to, 0 being the caller's, and which launches others wait for.
struct Assignment {
  std::vector<size_t> stream;
  std::vector<bool> awaited;  // by a launch on another cuda_stream
  size_t streams = 1;
};

// The dearest stage first, each to the cuda_stream with the least to do.
Assignment assign(const std::vector<device::Launch>& launches) {
  std::map<int, double> costs;
  for (const device::Launch& l : launches) costs[l.stage] += l.cost;
  std::vector<std::pair<double, int>> stages;
  for (const auto& [stage, cost] : costs) stages.emplace_back(cost, stage);
  std::sort(stages.rbegin(), stages.rend());
  std::vector<double> load(std::clamp<size_t>(stages.size(), 1, kMostStreams));
  std::map<int, size_t> of_stage;
  for (const auto& [cost, stage] : stages) {
    const auto least = std::min_element(load.begin(), load.end());
    of_stage[stage] = static_cast<size_t>(least - load.begin());
    *least += cost;
  }
  Assignment a;
  a.streams = load.size();
  a.awaited.resize(launches.size());
  for (const device::Launch& l : launches) {
    const size_t stream = of_stage[l.stage];
    a.stream.push_back(stream);
    for (const int before : l.after) {
      if (a.stream[static_cast<size_t>(before)] != stream) {
        a.awaited[static_cast<size_t>(before)] = true;
      }
    }
  }
  return a;
}

class Streams final : public Executor {
 public:
  using Executor::Executor;
  ExecutorKind kind() const override { return ExecutorKind::streams; }
  Status prepare() override;
  Status run(CudaStream stream, int phase) override { return run(stream, phase, kByTurn); }
  Status run_captured(CudaStream stream) override { return run(stream, -1, kCapturedRequest); }

 protected:
  device::Gather gather() const override { return device::Gather::op; }

 private:
  struct Plan {
    const ResidentList* list;
    Assignment assignment;
  };
  Status run(CudaStream stream, int phase, int request);
  Status fork(CudaStream stream, size_t count);
  Status join(CudaStream stream, size_t count);
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
    plans_.push_back({&list, assign(list.list.launches)});
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

Status Streams::fork(CudaStream stream, size_t count) {
  PVNET_CUDA_TRY(machine(), record(fork_.get(), stream), kWhere, "a fork");
  for (size_t i = 1; i < count; ++i) {
    PVNET_CUDA_TRY(machine(), wait(stream_of(i, stream), fork_.get()), kWhere, "a fork");
  }
  return {};
}

Status Streams::join(CudaStream stream, size_t count) {
  for (size_t i = 1; i < count; ++i) {
    const Event done = joins_[i - 1].get();
    PVNET_CUDA_TRY(machine(), record(done, stream_of(i, stream)), kWhere, "a join");
    PVNET_CUDA_TRY(machine(), wait(stream, done), kWhere, "a join");
  }
  return {};
}

Status Streams::run_launch(const Plan& plan, size_t i, CudaStream callers) {
  const device::Launch& l = plan.list->list.launches[i];
  const size_t own = plan.assignment.stream[i];
  const CudaStream stream = stream_of(own, callers);
  for (const int before : l.after) {
    const auto b = static_cast<size_t>(before);
    if (plan.assignment.stream[b] == own) continue;
    PVNET_CUDA_TRY(machine(), wait(stream, events_[b].get()), kWhere, "an event");
  }
  PVNET_TRY(launcher_.launch(launcher_.tiles(*plan.list, l, false), stream));
  if (plan.assignment.awaited[i]) {
    PVNET_CUDA_TRY(machine(), record(events_[i].get(), stream), kWhere, "an event");
  }
  return {};
}

Status Streams::run(CudaStream stream, int phase, int request) {
  const size_t number = phase < launcher_.resident().phases() ? static_cast<size_t>(phase + 1) : 0;
  const Plan& plan = plans_[number];
  PVNET_TRY(launcher_.launch(launcher_.begin(request), stream));
  PVNET_TRY(fork(stream, plan.assignment.streams));
  for (size_t i = 0; i < plan.list->list.launches.size(); ++i) {
    PVNET_TRY(run_launch(plan, i, stream));
  }
  PVNET_TRY(join(stream, plan.assignment.streams));
  return launcher_.launch(launcher_.end(request, false), stream);
}

}  // namespace

std::unique_ptr<Executor> streams_executor(const Launcher& launcher) {
  return std::make_unique<Streams>(launcher);
}

}  // namespace pvnet::cuda
