// SPDX-License-Identifier: Apache-2.0
// Which machine and device run the backend "cuda", or why none does. Asked at the first use, so
// that an import needs no driver and makes no context.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backends/cuda/machine.hpp"
#include "graph/status.hpp"

namespace pvnet::cuda {

struct Device {
  Machine* machine = nullptr;  // lives as long as the process
  int number = 0;
  DeviceFacts facts;
};

// isa: "sm80" and "plain" are of the real machine; "shim" and "shim-plain" of builds with
// PVNET_SHIM. The device is the one that the calling thread has chosen.
Result<Device> find_device(std::string_view isa);

// Builds choose who defines these: cudart.cpp or no_cudart.cpp, tests/shim or no_shim.cpp.
// Null with the reason in *why where there is none.
Machine* real_machine(const char** why);
Machine* shim_machine();
// The order in which the shim's machine runs what may run in any order.
void seed_shim(uint64_t seed);
// What it refused since the last call of this.
std::vector<std::string> shim_refusals();

// Chooses a device for the calling thread, and gives the thread back the one it had.
class DeviceScope {
 public:
  explicit DeviceScope(const Device& device) : machine_(*device.machine) {
    code_ = machine_.current_device(&before_);
    changed_ = code_ == kSuccess && before_ != device.number;
    if (changed_) code_ = machine_.use_device(device.number);
  }
  ~DeviceScope() {
    if (changed_) (void)machine_.use_device(before_);
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  Status status(const char* where) const;

 private:
  Machine& machine_;
  int before_ = 0;
  bool changed_ = false;
  ErrorCode code_ = kSuccess;
};

}  // namespace pvnet::cuda
