// SPDX-License-Identifier: Apache-2.0
// Runs tiles of one op on one batch row: resolves its reads to pointers and calls the kernel.
#pragma once

#include <vector>

#include "backends/backend.hpp"
#include "backends/kernel_api.hpp"
#include "runtime/cpu/row_memory.hpp"

#include "plan/plan.hpp"

namespace pvnet {

MapGeometry geometry_of(const Value& value);

// Per lane: room for the pointers of one kernel call, sized once from the plan.
class Executor {
 public:
  explicit Executor(const Plan& plan);
  void run(const TileRange& range, RowMemory& row, int64_t tick);

 private:
  // Pointers of all taps of the segments of one operand, oldest tap first.
  void bind(const PlanOp& op, size_t operand, const RowMemory& row, int64_t tick);
  // What a convolution adds to its result.
  ResidualView residual(const PlanOp& op, const RowMemory& row, int64_t tick) const;
  void run_per_segment(const PlanOp& op, const TileRange& range, RowMemory& row, int64_t tick,
                       const MapView& out);
  void run_eltwise(const PlanOp& op, const TileRange& range, RowMemory& row, int64_t tick,
                   const MapView& out);
  // pad, channel_select, depth_to_space, space_to_depth
  void run_move(const PlanOp& op, const TileRange& range, RowMemory& row, int64_t tick,
                const MapView& out);
  void run_norm(const PlanOp& op, const TileRange& range, RowMemory& row, int64_t tick,
                const MapView& out);

  const Plan& plan_;
  const HostKernels& kernels_;
  std::vector<SegmentView> segments_;
  std::vector<const float*> taps_;
  AlignedBytes scratch_;  // of kernels
};

}  // namespace pvnet
