// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/launcher.hpp"

#include <algorithm>
#include <utility>

#include "backends/cuda/error.hpp"
#include "backends/device_layout.hpp"

namespace pvnet::cuda {
namespace {

// Pixels of all frames, or slots to be found, whichever are more.
int64_t begin_threads_of(const Plan& plan, const pv_program& program) {
  int64_t most = int64_t{program.n_rows} * program.n_reads;
  for (const int v : plan.input_values) {
    const Shape& shape = plan.values[static_cast<size_t>(v)].shape;
    most = std::max(most, int64_t{shape.h} * shape.w);
  }
  return most;
}

}  // namespace

Launcher::Launcher(const Device& device, std::shared_ptr<const Resident> resident,
                   const pv_program& program)
    : device_(device),
      resident_(std::move(resident)),
      program_(program),
      plain_(is_plain_isa(resident_->plan().options.isa)),
      begin_threads_(begin_threads_of(resident_->plan(), program)),
      end_threads_(program.n_rows * program.row_floats) {}

KernelLaunch Launcher::kernel(Kernel kernel, const pv_call& call, int64_t threads) const {
  const int64_t blocks = (threads + PV_THREADS - 1) / PV_THREADS;
  KernelLaunch launch;
  launch.kernel = kernel;
  launch.dtype = resident_->host().dtype;
  launch.program = program_;
  launch.call = call;
  launch.blocks =
      static_cast<int>(std::clamp<int64_t>(blocks, 1, std::max(1, device_.facts.multiprocessors)));
  return launch;
}

KernelLaunch Launcher::begin(int request) const {
  return kernel(Kernel::begin, {0, request, 0, -1}, begin_threads_);
}

KernelLaunch Launcher::tiles(const ResidentList& list, const device::Launch& launch,
                             bool early) const {
  KernelLaunch made;
  made.kernel = plain_ ? Kernel::plain_tiles : launch.rare ? Kernel::rare_tiles : Kernel::tiles;
  made.dtype = resident_->host().dtype;
  made.program = program_;
  made.call = {list.first_tile + launch.first_tile, kByTurn, 0, -1};
  made.blocks = launch.tiles;
  made.shared_bytes = plain_ ? 0 : launch.shared_bytes;
  made.early = early && device_.facts.early_launch;
  return made;
}

KernelLaunch Launcher::end(int request, bool early) const {
  KernelLaunch made = kernel(Kernel::end, {0, request, 0, -1}, end_threads_);
  made.early = early && device_.facts.early_launch;
  return made;
}

KernelLaunch Launcher::begin_again(int row) const {
  return kernel(Kernel::begin, {0, kByTurn, 1, row}, begin_threads_);
}
KernelLaunch Launcher::end_again(int row) const {
  return kernel(Kernel::end, {0, kByTurn, 1, row}, end_threads_);
}

Status Launcher::launch(const KernelLaunch& launch, CudaStream stream) const {
  PVNET_CUDA_TRY(machine(), launch(launch, stream), "Stream.tick", "the launch of a kernel");
  return {};
}

}  // namespace pvnet::cuda
