// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/error.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace pvnet::cuda {
namespace {

// Faults of kernels and of the device, after which its context is lost.
constexpr std::array kSticky = {
    214,  // ECC error that cannot be corrected
    220,  // NVLink error
    700,  // illegal address
    702,  // launch timed out
    709,  // context is destroyed
    710,  // device-side assert
    714,  // stack error
    715,  // illegal instruction
    716,  // misaligned address
    717,  // invalid address space
    718,  // invalid program counter
    719,  // launch failure
    721,  // contained memory error
    999,  // unknown
};

std::string quoted(Machine& machine, ErrorCode code) {
  return std::string(machine.text(code)) + " (CUDA error " + std::to_string(code) + ")";
}

}  // namespace

bool is_sticky(ErrorCode code) {
  return std::find(kSticky.begin(), kSticky.end(), code) != kSticky.end();
}

Status device_failed(Machine& machine, ErrorCode code, const char* where) {
  return {Code::state, std::string("[") + where + "] the device failed: got " +
                           quoted(machine, code) +
                           ", expected success. Make a new Stream in a new process."};
}

Status status_of(Machine& machine, ErrorCode code, const char* where, const char* what) {
  if (code == kSuccess) return {};
  if (is_sticky(code)) return device_failed(machine, code, where);
  const std::string failed = std::string("[") + where + "] " + what + " failed: got " +
                             quoted(machine, code) + ", expected success. ";
  if (code == kOutOfMemory) {
    return {Code::out_of_memory,
            failed + "Use a smaller batch, size or delay, or end what else uses the device."};
  }
  return {Code::state, failed + "Look at the device with nvidia-smi."};
}

}  // namespace pvnet::cuda
