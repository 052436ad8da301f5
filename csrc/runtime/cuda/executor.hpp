// SPDX-License-Identifier: Apache-2.0
// Ways to hand the launches of a tick to a device. All of them run the same launch list, so that
// the bits are the same.
#pragma once

#include <memory>

#include "runtime/cuda/launcher.hpp"
#include "runtime/plan_ranges.hpp"

namespace pvnet::cuda {

// Where a tick stands.
struct Moment {
  int phase = -1;    // of the hyper-period, of all rows that run; -1: of several
  int64_t tick = 0;  // of the first row that runs, for profilers
};

class Executor {
 public:
  explicit Executor(Launcher launcher)
      : launcher_(std::move(launcher)), names_(launcher_.resident().plan()) {}
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  virtual ExecutorKind kind() const = 0;
  // Everything that a tick may not do: allocations, graphs.
  virtual Status prepare() { return {}; }
  // begin, tiles and end on `stream`.
  virtual Status run(CudaStream stream, const Moment& moment) = 0;
  // The same launch by launch, of any phase, for a caller who captures them: launches gathered as
  // the executor gathers them, one after the other.
  virtual Status run_captured(CudaStream stream) { return run_in_order(stream, {}, true); }

 protected:
  virtual device::Gather gather() const = 0;
  Status run_in_order(CudaStream stream, const Moment& moment, bool captured);
  // A range of a profiler for the launches of `list`, and for one of them. Only those of single
  // operations are shown: others belong to several.
  PlanRanges ranges(const Moment& moment) const {
    return {launcher_.resident().plan(), names_, moment.tick};
  }
  [[nodiscard]] nvtx::Range shown(PlanRanges& ranges, const ResidentList& list,
                                  const device::Launch& launch) const;
  Machine& machine() const { return launcher_.machine(); }

  Launcher launcher_;
  PlanNames names_;
};

// kind: not automatic.
Result<std::unique_ptr<Executor>> make_executor(ExecutorKind kind, const Launcher& launcher);

// The executors that make_executor() knows, those of one file each.
std::unique_ptr<Executor> serial_executor(const Launcher& launcher);
std::unique_ptr<Executor> streams_executor(const Launcher& launcher);
std::unique_ptr<Executor> graph_executor(ExecutorKind kind, const Launcher& launcher);

}  // namespace pvnet::cuda
