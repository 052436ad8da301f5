// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/arena.hpp"

#include <cstring>

#include <string>

#include "backends/cuda/error.hpp"
#include "host/memory_room.hpp"

namespace pvnet::cuda {
namespace {

constexpr int64_t kAlignment = 256;

constexpr const char* kCure = "Use a smaller batch, size or delay.";

// Linux hands out more host memory than it has, and a device says only that it has no more.
Status need_room(Machine& machine, Memory memory, int64_t bytes, const char* where) {
  if (memory == Memory::pinned) {
    return need_memory(where, "frames and results do not fit into memory of the host", Size(bytes),
                       kCure);
  }
  int64_t left = 0;
  PVNET_CUDA_TRY(machine, free_memory(&left), where, "asking for the memory of the device");
  if (bytes <= left) return {};
  return {Code::out_of_memory, std::string("[") + where +
                                   "] the memory of the device is too small: got " +
                                   std::to_string(bytes) + " bytes, expected at most " +
                                   std::to_string(left) + ", which it has left. " + kCure};
}

}  // namespace

Arena::~Arena() {
  if (base_ == nullptr) return;
  const DeviceScope scope(device_);
  Machine& machine = *device_.machine;
  (void)(memory_ == Memory::device ? machine.release(base_) : machine.release_pinned(base_));
}

size_t Arena::reserve(int64_t bytes) {
  parts_.push_back(bytes_);
  bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return parts_.size() - 1;
}

Status Arena::allocate(CudaStream stream, const char* where) {
  Machine& machine = *device_.machine;
  const size_t bytes = static_cast<size_t>(bytes_ == 0 ? kAlignment : bytes_);
  PVNET_TRY(need_room(machine, memory_, bytes_, where));
  void* memory = nullptr;
  if (memory_ == Memory::pinned) {
    PVNET_CUDA_TRY(machine, allocate_pinned(&memory, bytes), where, "allocating pinned memory");
    base_ = static_cast<std::byte*>(memory);
    std::memset(base_, 0, bytes);
    return {};
  }
  PVNET_CUDA_TRY(machine, allocate(&memory, bytes), where, "allocating memory of the device");
  base_ = static_cast<std::byte*>(memory);
  PVNET_CUDA_TRY(machine, fill(base_, 0, bytes, stream), where, "clearing memory of the device");
  return {};
}

Result<OwnedStream> make_stream(Machine& machine, const char* where) {
  OwnedStream stream(machine);
  PVNET_CUDA_TRY(machine, create_stream(stream.out()), where, "making a cuda_stream");
  return stream;
}

Result<OwnedEvent> make_event(Machine& machine, const char* where, bool timed) {
  OwnedEvent event(machine);
  PVNET_CUDA_TRY(machine, create_event(event.out(), timed), where, "making an event");
  return event;
}

}  // namespace pvnet::cuda
