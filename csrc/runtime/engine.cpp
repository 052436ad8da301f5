// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine.hpp"

#include <utility>

#include "runtime/cpu/engine.hpp"
#include "runtime/cuda/engine.hpp"

namespace pvnet {

Result<std::unique_ptr<Engine>> make_engine(std::shared_ptr<const Plan> plan) {
  if (plan->device != nullptr) return cuda::CudaEngine::create(std::move(plan));
  return CpuEngine::create(std::move(plan));
}

}  // namespace pvnet
