// SPDX-License-Identifier: Apache-2.0
// The launches of a tick: begin, the tiles of a launch list, end.
#pragma once

#include "backends/cuda/device.hpp"
#include "runtime/cuda/resident.hpp"

namespace pvnet::cuda {

class Launcher {
 public:
  Launcher(const Device& device, std::shared_ptr<const Resident> resident,
           const pv_program& program);

  Machine& machine() const { return *device_.machine; }
  const Device& device() const { return device_; }
  const Resident& resident() const { return *resident_; }

  KernelLaunch begin(int request) const;
  // early: it may start while the launch in front of it runs, where the device can.
  KernelLaunch tiles(const ResidentList& list, const device::Launch& launch, bool early) const;
  KernelLaunch end(int request, bool early) const;
  // begin and end that write the outputs of a row's last tick again.
  KernelLaunch begin_again(int row) const;
  KernelLaunch end_again(int row) const;

  Status launch(const KernelLaunch& launch, CudaStream stream) const;

 private:
  KernelLaunch kernel(Kernel kernel, const pv_call& call, int64_t threads) const;

  Device device_;
  std::shared_ptr<const Resident> resident_;
  pv_program program_;
  bool plain_;
  int64_t begin_threads_, end_threads_;
};

}  // namespace pvnet::cuda
