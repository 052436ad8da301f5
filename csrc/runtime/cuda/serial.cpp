// SPDX-License-Identifier: Apache-2.0
// One launch after the other: the oracle of the other executors.
#include "runtime/cuda/executor.hpp"

namespace pvnet::cuda {
namespace {

class Serial final : public Executor {
 public:
  using Executor::Executor;
  ExecutorKind kind() const override { return ExecutorKind::serial; }
  Status run(CudaStream stream, const Moment& moment) override {
    return run_in_order(stream, moment, false);
  }

 protected:
  device::Gather gather() const override { return device::Gather::op; }
};

}  // namespace

nvtx::Range Executor::shown(PlanRanges& ranges, const ResidentList& list,
                            const device::Launch& launch) const {
  if (!nvtx::attached() || list.list.gather != device::Gather::op) return {};
  return ranges.launched(launcher_.resident().op_number_of(list, launch));
}

// The order of a list is one that its edges allow.
Status Executor::run_in_order(CudaStream stream, const Moment& moment, bool captured) {
  const int request = captured ? kCapturedRequest : kByTurn;
  const ResidentList& list = launcher_.resident().list(gather(), moment.phase);
  PVNET_TRY(launcher_.launch(launcher_.begin(request), stream));
  {
    PlanRanges open = ranges(moment);
    for (const device::Launch& l : list.list.launches) {
      const nvtx::Range range = shown(open, list, l);
      PVNET_TRY(launcher_.launch(launcher_.tiles(list, l, captured), stream));
    }
  }
  return launcher_.launch(launcher_.end(request, captured), stream);
}

std::unique_ptr<Executor> serial_executor(const Launcher& launcher) {
  return std::make_unique<Serial>(launcher);
}

Result<std::unique_ptr<Executor>> make_executor(ExecutorKind kind, const Launcher& launcher) {
  std::unique_ptr<Executor> executor = kind == ExecutorKind::serial ? serial_executor(launcher)
                                       : kind == ExecutorKind::streams
                                           ? streams_executor(launcher)
                                           : graph_executor(kind, launcher);
  PVNET_TRY(executor->prepare());
  return executor;
}

}  // namespace pvnet::cuda
