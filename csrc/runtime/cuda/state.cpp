// SPDX-License-Identifier: Apache-2.0
// The memory of rows from the outside: reset, states in and out.
#include <cstring>
#include <vector>

#include "backends/cuda/error.hpp"
#include "runtime/cuda/engine.hpp"
#include "runtime/live_runs.hpp"

namespace pvnet::cuda {
namespace {

constexpr int kNan = 0xFF;  // bytes of a NaN in every dtype

}  // namespace

Status CudaEngine::wait() const {
  for (const CudaStream s : {up_.get(), compute_.get(), down_.get()}) {
    PVNET_CUDA_TRY(machine(), synchronise(s), "Stream", "waiting for the device");
  }
  for (const Turn& turn : turns_) {
    PVNET_CUDA_TRY(machine(), synchronise(turn.done.get()), "Stream", "waiting for the device");
  }
  return {};
}

Status CudaEngine::show_again(int row) {
  const Launcher launcher(device_, resident_, memory_.program());
  PVNET_TRY(launcher.launch(launcher.begin_again(row), compute_.get()));
  PVNET_TRY(launcher.launch(launcher.end_again(row), compute_.get()));
  fetched_[result_] = false;
  return wait();
}

Status CudaEngine::reset(int row) {
  constexpr const char* kWhere = "Stream.reset";
  return guarded(kWhere, [&]() -> Status {
    PVNET_TRY(wait());
    const CudaStream s = compute_.get();
    const auto bytes = static_cast<size_t>(memory_.row_bytes());
    PVNET_CUDA_TRY(machine(), fill(memory_.row(row), 0, bytes, s), kWhere, "clearing a row");
    PVNET_CUDA_TRY(machine(), fill(memory_.ticks(row), 0, sizeof(int64_t), s), kWhere,
                   "clearing a row");
    return show_again(row);
  });
}

Status CudaEngine::save(int row, int64_t ticks, void* dst) const {
  constexpr const char* kWhere = "Stream.snapshot";
  if (captured_) {
    return {Code::state,
            "[Stream.snapshot] the ticks of this Stream belong to a captured graph: got replays "
            "that nobody counts, expected ticks of its own. Take a snapshot before the capture."};
  }
  return guarded(kWhere, [&]() -> Status {
    PVNET_TRY(wait());
    std::vector<char> state(static_cast<size_t>(plan_->state_bytes));
    if (!state.empty()) {
      PVNET_CUDA_TRY(machine(), copy(state.data(), memory_.row(row), state.size(), compute_.get()),
                     kWhere, "reading a row");
    }
    PVNET_TRY(wait());
    copy_live(*plan_, ticks, state.data(), static_cast<char*>(dst));
    return {};
  });
}

Status CudaEngine::load(int row, int64_t ticks, const void* src) {
  constexpr const char* kWhere = "Stream.restore";
  return guarded(kWhere, [&]() -> Status {
    PVNET_TRY(wait());
    std::vector<char> state(static_cast<size_t>(plan_->state_bytes));
    copy_live(*plan_, ticks, static_cast<const char*>(src), state.data());
    if (!state.empty()) {
      PVNET_CUDA_TRY(machine(), copy(memory_.row(row), state.data(), state.size(), compute_.get()),
                     kWhere, "writing a row");
    }
    PVNET_CUDA_TRY(machine(), copy(memory_.ticks(row), &ticks, sizeof(ticks), compute_.get()),
                   kWhere, "writing a row");
    return show_again(row);
  });
}

const Value* CudaEngine::not_finite(int64_t ticks, const void* saved) const {
  return first_not_finite(*plan_, ticks, saved);
}

void CudaEngine::poison(int row, int64_t ticks) {
  const Status status = guarded("poison", [&]() -> Status {
    PVNET_TRY(wait());
    std::vector<char> state(static_cast<size_t>(memory_.row_bytes()));
    PVNET_CUDA_TRY(machine(), copy(state.data(), memory_.row(row), state.size(), compute_.get()),
                   "poison", "reading a row");
    PVNET_TRY(wait());
    std::vector<char> poisoned(state.size(), static_cast<char>(kNan));
    for_each_live_run(*plan_, ticks, [&](const Value& v, int64_t at, int64_t n) {
      std::memcpy(poisoned.data() + at, state.data() + at,
                  static_cast<size_t>(n * element_bytes(v.dtype)));
    });
    PVNET_CUDA_TRY(machine(),
                   copy(memory_.row(row), poisoned.data(), poisoned.size(), compute_.get()),
                   "poison", "writing a row");
    if (memory_.partial_bytes() > 0) {
      PVNET_CUDA_TRY(machine(),
                     fill(memory_.partials(), kNan, static_cast<size_t>(memory_.partial_bytes()),
                          compute_.get()),
                     "poison", "writing a row");
    }
    return wait();
  });
  if (!status.ok()) failure_ = status;  // told by the next call
}

}  // namespace pvnet::cuda
