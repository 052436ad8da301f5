// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/device.hpp"

#include <string>

#include "backends/cuda/error.hpp"
#include "backends/registry.hpp"

namespace pvnet::cuda {
namespace {

constexpr int kLeastMajor = 8;  // compute capability of mma.sync for bf16 and tf32

Status refuse(const std::string& what, const std::string& got, const std::string& expected,
              const std::string& cure) {
  return {Code::unsupported, "[find_backend] " + what + ": got " + got + ", expected " + expected +
                                 ". " + cure + ", or use backend=\"cpu\"."};
}

// The runtime has one error for both: no driver, and one that is too old.
Status no_driver(Machine& machine, const std::string& got) {
  const std::string needed = "a driver that runs CUDA " + std::string(PVNET_CUDA_VERSION);
  int version = 0;
  if (machine.driver_version(&version) != kSuccess || version == 0) {
    return refuse("there is no NVIDIA driver", got, needed, "Install the driver");
  }
  const std::string newest =
      std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
  return refuse("the NVIDIA driver is too old for this build", "a driver up to CUDA " + newest,
                needed, "Update the driver");
}

Status no_devices(Machine& machine, ErrorCode code) {
  const std::string got =
      std::string(machine.text(code)) + " (CUDA error " + std::to_string(code) + ")";
  if (code == kInsufficientDriver) return no_driver(machine, got);
  if (code == kNoDevice) {
    return refuse("the driver has no device for this process", got, "at least one CUDA device",
                  "Look at nvidia-smi and CUDA_VISIBLE_DEVICES");
  }
  return refuse("the CUDA runtime does not start", got, "a device", "Look at nvidia-smi");
}

Result<Device> device_of(Machine& machine) {
  Device found{&machine, 0, {}};
  int count = 0;
  const ErrorCode code = machine.device_count(&count);
  if (code != kSuccess) return no_devices(machine, code);
  if (count == 0) return no_devices(machine, kNoDevice);
  PVNET_CUDA_TRY(machine, current_device(&found.number), "find_backend", "choosing a device");
  PVNET_CUDA_TRY(machine, device_facts(found.number, &found.facts), "find_backend",
                 "asking for the device");
  if (found.facts.major < kLeastMajor) {
    return refuse("the device is too old",
                  found.facts.name + " of compute capability " + std::to_string(found.facts.major) +
                      "." + std::to_string(found.facts.minor),
                  "8.0 or newer", "Choose another device with CUDA_VISIBLE_DEVICES");
  }
  return found;
}

}  // namespace

Result<Device> find_device(std::string_view isa) {
  if (isa == "shim" || isa == "shim-plain") {
    Machine* shim = shim_machine();
    if (shim != nullptr) return device_of(*shim);
    return refuse("this build has no shim", "isa=\"" + std::string(isa) + "\"",
                  "\"sm80\" or \"plain\"", "Build with -DPVNET_SHIM=ON, which is for tests");
  }
  if (isa.empty() || isa == "sm80" || isa == "plain") {
    const char* why = "";
    Machine* real = real_machine(&why);
    if (real == nullptr) return Status(Code::unsupported, why);
    return device_of(*real);
  }
  return refuse("the CUDA backend has no such kernels", "isa=\"" + std::string(isa) + "\"",
                "\"sm80\", \"plain\", \"shim\" or \"shim-plain\"", "Leave isa empty");
}

Status DeviceScope::status(const char* where) const {
  return status_of(machine_, code_, where, "choosing the device");
}

}  // namespace pvnet::cuda

namespace pvnet {

Status cuda_machine(std::string_view isa) { return cuda::find_device(isa).status(); }

}  // namespace pvnet
