// SPDX-License-Identifier: Apache-2.0
// What stages cost, so that they can be packed onto cuda_streams. The bits do not depend on it.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "runtime/cuda/resident.hpp"

namespace pvnet::cuda {

using StageCosts = std::map<int, double>;  // by stage, in one unit

// Of list number `number` of Gather::op: by the plan's own costs where it was compiled with some,
// else as measured, else by the cost model. The list has every stage that the result has.
StageCosts stage_costs(const Resident& resident, size_t number);

}  // namespace pvnet::cuda
