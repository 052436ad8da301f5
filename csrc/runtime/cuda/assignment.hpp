// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "plan/device/program.hpp"
#include "runtime/cuda/stage_costs.hpp"

namespace pvnet::cuda {

// Which cuda_stream each launch goes to, 0 being the caller's, and what it waits for there: nothing
// that the order of the cuda_streams and other waits imply.
struct Assignment {
  size_t streams = 1;
  std::vector<size_t> stream;
  std::vector<std::vector<size_t>> waits;  // of a launch, for launches on other cuda_streams
  std::vector<bool> awaited;               // a launch
  std::vector<bool> forks, joins;          // a cuda_stream
};

// costs: of every stage of the launches. The dearest stage goes first, to the cuda_stream with the
// least to do.
Assignment assign(const std::vector<device::Launch>& launches, const StageCosts& costs);

}  // namespace pvnet::cuda
