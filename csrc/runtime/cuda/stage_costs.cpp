// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/stage_costs.hpp"

#include <memory>

namespace pvnet::cuda {

StageCosts stage_costs(const Resident& resident, size_t number) {
  const ResidentList& list = resident.list(device::Gather::op, static_cast<int>(number) - 1);
  const bool given = !resident.plan().options.costs.empty();
  StageCosts costs;
  for (const device::Launch& l : list.list.launches) {
    costs[l.stage] += given ? resident.op_of(list, l).cost : l.cost;
  }
  const std::shared_ptr<const StageTimes> measured = resident.stage_times();
  if (given || measured == nullptr) return costs;
  for (auto& [stage, cost] : costs) cost = (*measured)[number][static_cast<size_t>(stage)];
  return costs;
}

}  // namespace pvnet::cuda
