// SPDX-License-Identifier: Apache-2.0
// What a Plan has on a device: its tables, weights and launch lists, in one allocation that all of
// its Streams share.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backends/cuda/arena.hpp"
#include "plan/device/program.hpp"
#include "plan/executor.hpp"

namespace pvnet::cuda {

constexpr int kByTurn = -1;          // a tick reads the request of its turn
constexpr int kCapturedRequest = 2;  // or that of a captured graph

// A launch list and where its tiles begin among those of the program.
struct ResidentList {
  device::LaunchList list;
  int first_tile = 0;
};

// Microseconds of each stage alone, [number of a list of Gather::op][stage].
using StageTimes = std::vector<std::vector<double>>;

class Resident {
 public:
  // The one of this Plan and device, made where no Stream has it.
  static Result<std::shared_ptr<const Resident>> of(const std::shared_ptr<const Plan>& plan,
                                                    const Device& device);

  const Plan& plan() const { return *plan_; }
  const device::Program& host() const { return *plan_->device; }
  // Tables and counts; what belongs to a Stream is null.
  const pv_program& program() const { return program_; }
  // For ticks at `phase` of the hyper-period, -1 for rows at several of them. Falls back to -1.
  const ResidentList& list(device::Gather how, int phase) const;
  // Ticks of the hyper-period that have lists of their own: all of them or none.
  int phases() const { return phases_; }
  // Of the lists of a gather, that of `phase`: the first one is -1.
  size_t number_of(int phase) const { return phase < phases_ ? static_cast<size_t>(phase + 1) : 0; }

  // That of a launch of a list of Gather::op.
  int op_number_of(const ResidentList& list, const device::Launch& launch) const;
  const PlanOp& op_of(const ResidentList& list, const device::Launch& launch) const;

  // Once a Stream has measured them, else null. The first ones stay, so that all Streams pack
  // alike.
  std::shared_ptr<const StageTimes> stage_times() const;
  void keep_stage_times(StageTimes times) const;
  // The quickest executor, once a Stream has measured them all.
  ExecutorKind best() const { return best_; }
  void keep_best(ExecutorKind kind) const { best_ = kind; }

 private:
  Resident(std::shared_ptr<const Plan> plan, const Device& device);
  static Result<std::shared_ptr<const Resident>> make(const std::shared_ptr<const Plan>& plan,
                                                      const Device& device);
  void gather();
  void reserve();
  Status upload(Machine& machine);

  std::shared_ptr<const Plan> plan_;
  Arena arena_;
  int phases_ = 0;
  std::map<std::pair<device::Gather, int>, ResidentList> lists_;
  std::vector<pv_tile> tiles_;
  // Of one table: where it lies on the host, how long it is, and where its address goes.
  struct Table {
    const void* from;
    size_t bytes;
    void* to;  // a pointer of program_
    size_t part;
  };
  std::vector<Table> tables_;
  pv_program program_ = {};
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const StageTimes> stage_times_;
  mutable std::atomic<ExecutorKind> best_ = ExecutorKind::automatic;
};

}  // namespace pvnet::cuda
