// SPDX-License-Identifier: Apache-2.0
// One allocation that holds many parts, and owners of what the runtime hands out. All of them may
// outlive a failed device: giving back then fails, and is not looked at.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "backends/cuda/device.hpp"

namespace pvnet::cuda {

enum class Memory : uint8_t { device, pinned };

// Parts are reserved first, then allocated together, zeroed, each at a multiple of 256 bytes.
class Arena {
 public:
  Arena(const Device& device, Memory memory) : device_(device), memory_(memory) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Number of the part.
  size_t reserve(int64_t bytes);
  // Refused where the device, or the host for pinned memory, has less. `stream`: zeroes in its
  // order.
  Status allocate(CudaStream stream, const char* where);
  std::byte* at(size_t part) const { return base_ + parts_[part]; }
  template <class T>
  T* as(size_t part) const {
    return reinterpret_cast<T*>(at(part));
  }
  int64_t bytes() const { return bytes_; }

 private:
  Device device_;
  Memory memory_;
  std::vector<int64_t> parts_;  // offsets
  int64_t bytes_ = 0;
  std::byte* base_ = nullptr;
};

// Owns a handle of the runtime: destroy is a member of Machine.
template <class Handle, ErrorCode (Machine::*destroy)(Handle)>
class Owner {
 public:
  Owner() = default;
  explicit Owner(Machine& machine) : machine_(&machine) {}
  ~Owner() { reset(); }
  Owner(Owner&& other) noexcept
      : machine_(other.machine_), handle_(std::exchange(other.handle_, nullptr)) {}
  Owner& operator=(Owner&& other) noexcept {
    std::swap(machine_, other.machine_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  Handle get() const { return handle_; }
  Handle* out() { return &handle_; }
  void reset() {
    if (handle_ != nullptr) (void)(machine_->*destroy)(std::exchange(handle_, nullptr));
  }

 private:
  Machine* machine_ = nullptr;
  Handle handle_ = nullptr;
};

using OwnedStream = Owner<CudaStream, &Machine::destroy_stream>;
using OwnedEvent = Owner<Event, &Machine::destroy_event>;
using OwnedGraph = Owner<Graph, &Machine::destroy_graph>;
using OwnedExec = Owner<GraphExec, &Machine::destroy_exec>;

Result<OwnedStream> make_stream(Machine& machine, const char* where);
Result<OwnedEvent> make_event(Machine& machine, const char* where, bool timed = false);

}  // namespace pvnet::cuda
