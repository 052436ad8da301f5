// SPDX-License-Identifier: Apache-2.0
// Times by events of the device, on frames of zeros: of whole ticks by every executor, and of the
// stages alone.
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "backends/cuda/error.hpp"
#include "runtime/cuda/engine.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kWhere = "Stream.create";
constexpr const char* kWhat = "measuring";
constexpr ExecutorKind kCandidates[] = {ExecutorKind::packed,  ExecutorKind::wave,
                                        ExecutorKind::group,   ExecutorKind::graph,
                                        ExecutorKind::streams, ExecutorKind::serial};
constexpr int kWarmTicks = 3, kTimedTicks = 10;  // of an executor
// Of stages, once the first frames are everywhere: rounds of a hyper-period, or some of a long one.
constexpr int64_t kRounds = 3, kTimedAnyPhase = 96, kMostWarm = 64;

// The stages of a tick one after the other, with an event between them. What a stage reads of
// another one in the same tick may be old: it costs the same.
class StageClock {
 public:
  StageClock(const Launcher& launcher, CudaStream stream)
      : launcher_(launcher),
        stream_(stream),
        stages_(static_cast<size_t>(launcher.resident().plan().graph.n_stages())) {}

  Status prepare() {
    for (size_t i = 0; i <= stages_; ++i) {
      auto made = make_event(machine(), kWhere, true);
      if (!made.ok()) return made.status();
      events_.push_back(std::move(made).value());
    }
    return {};
  }

  Status tick(int phase) {
    const ResidentList& list = launcher_.resident().list(device::Gather::op, phase);
    PVNET_TRY(launcher_.launch(launcher_.begin(kByTurn), stream_));
    PVNET_TRY(record(0));
    for (size_t stage = 0; stage < stages_; ++stage) {
      for (const device::Launch& l : list.list.launches) {
        if (l.stage != static_cast<int>(stage)) continue;
        PVNET_TRY(launcher_.launch(launcher_.tiles(list, l, false), stream_));
      }
      PVNET_TRY(record(stage + 1));
    }
    PVNET_TRY(launcher_.launch(launcher_.end(kByTurn, false), stream_));
    PVNET_CUDA_TRY(machine(), synchronise(stream_), kWhere, kWhat);
    return {};
  }

  // Makes those of the last tick the least, in microseconds.
  Status take_least(std::vector<double>* least) {
    for (size_t stage = 0; stage < stages_; ++stage) {
      float ms = 0;
      PVNET_CUDA_TRY(machine(), elapsed_ms(events_[stage].get(), events_[stage + 1].get(), &ms),
                     kWhere, kWhat);
      (*least)[stage] = std::min((*least)[stage], ms * 1e3);
    }
    return {};
  }

  size_t stages() const { return stages_; }

 private:
  Machine& machine() const { return launcher_.machine(); }
  Status record(size_t event) {
    PVNET_CUDA_TRY(machine(), record(events_[event].get(), stream_), kWhere, kWhat);
    return {};
  }

  const Launcher& launcher_;
  const CudaStream stream_;
  const size_t stages_;
  std::vector<OwnedEvent> events_;
};

// A list of a phase has the times of that phase; the one of rows at several phases, the mean.
StageTimes times_of_lists(const std::vector<std::vector<double>>& by_tick, int phases) {
  StageTimes times{std::vector<double>(by_tick[0].size())};
  for (const std::vector<double>& tick : by_tick) {
    for (size_t s = 0; s < tick.size(); ++s) {
      times[0][s] += tick[s] / static_cast<double>(by_tick.size());
    }
  }
  if (phases > 0) times.insert(times.end(), by_tick.begin(), by_tick.end());
  return times;
}

}  // namespace

Status CudaEngine::upload_zeros() {
  const auto batch = static_cast<size_t>(plan_->options.batch);
  std::vector<FrameView> frames;
  for (const int v : plan_->input_values) {
    const Shape& s = plan_->values[static_cast<size_t>(v)].shape;
    static const float zero = 0;
    frames.insert(frames.end(), batch, {FrameType::f32_chw, &zero, {0, 0, 0}, s.h, s.w, s.c});
  }
  const std::vector<int64_t> none(batch);
  for (int number = 0; number < kTurns; ++number) {
    PVNET_CUDA_TRY(machine(), synchronise(turns_[number].uploaded.get()), kWhere, kWhat);
    PVNET_TRY(upload(number, memory_.write_request(number, frames.data(), {none.data(), nullptr})));
    PVNET_CUDA_TRY(machine(), wait(compute_.get(), turns_[number].uploaded.get()), kWhere, kWhat);
  }
  return {};
}

Status CudaEngine::measure_stages(int64_t* ticks) {
  if (!plan_->options.costs.empty() || resident_->stage_times() != nullptr) return {};
  const Launcher launcher(device_, resident_, memory_.program());
  StageClock clock(launcher, compute_.get());
  PVNET_TRY(clock.prepare());
  PVNET_TRY(upload_zeros());
  const int64_t hyper = plan_->hyper_period;
  const bool by_phase = resident_->phases() > 0;
  const int64_t warm = std::clamp<int64_t>(plan_->settle_ticks, kWarmTicks, kMostWarm);
  for (int64_t i = 0; i < warm; ++i) PVNET_TRY(clock.tick(static_cast<int>((*ticks)++ % hyper)));
  const int64_t timed = by_phase ? kRounds * hyper : kTimedAnyPhase;
  std::vector<std::vector<double>> least(
      static_cast<size_t>(by_phase ? hyper : timed),
      std::vector<double>(clock.stages(), std::numeric_limits<double>::infinity()));
  for (int64_t i = 0; i < timed; ++i) {
    const int64_t phase = (*ticks)++ % hyper;
    PVNET_TRY(clock.tick(static_cast<int>(phase)));
    PVNET_TRY(clock.take_least(&least[static_cast<size_t>(by_phase ? phase : i)]));
  }
  resident_->keep_stage_times(times_of_lists(least, resident_->phases()));
  return {};
}

Result<ExecutorKind> CudaEngine::measure_executors(int64_t* ticks) {
  ExecutorKind best = kCandidates[0];
  double least = 0;
  for (const ExecutorKind kind : kCandidates) {
    PVNET_TRY(use_executor(kind));
    const Result<double> ms = measure(*executor_, ticks);
    if (!ms.ok()) return ms.status();
    if (kind != kCandidates[0] && ms.value() >= least) continue;
    best = kind;
    least = ms.value();
  }
  return best;
}

// Milliseconds of some ticks.
Result<double> CudaEngine::measure(Executor& executor, int64_t* ticks) {
  auto begin = make_event(machine(), kWhere, true), end = make_event(machine(), kWhere, true);
  if (!begin.ok()) return begin.status();
  if (!end.ok()) return end.status();
  PVNET_TRY(upload_zeros());
  for (int i = 0; i < kWarmTicks + kTimedTicks; ++i) {
    if (i == kWarmTicks) {
      PVNET_CUDA_TRY(machine(), record(begin.value().get(), compute_.get()), kWhere, kWhat);
    }
    const int64_t tick = (*ticks)++;
    PVNET_TRY(executor.run(compute_.get(), {static_cast<int>(tick % plan_->hyper_period), tick}));
  }
  PVNET_CUDA_TRY(machine(), record(end.value().get(), compute_.get()), kWhere, kWhat);
  PVNET_CUDA_TRY(machine(), synchronise(compute_.get()), kWhere, kWhat);
  float ms = 0;
  PVNET_CUDA_TRY(machine(), elapsed_ms(begin.value().get(), end.value().get(), &ms), kWhere, kWhat);
  return static_cast<double>(ms);
}

}  // namespace pvnet::cuda
