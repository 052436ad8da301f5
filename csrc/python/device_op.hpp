// SPDX-License-Identifier: Apache-2.0
// One operation as a device program of its own, for pvnet.ops: the tables of a Plan that has
// nothing else, and its launches. All memory is the caller's; slots say where in it firings lie.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "plan/device/program.hpp"
#include "plan/plan.hpp"

namespace pvnet::python {

// Addresses in the memory of the device.
struct DeviceOpMemory {
  uintptr_t tables = 0, weights = 0, floats = 0;
  uintptr_t maps = 0;   // that slots count from, in elements
  uintptr_t slots = 0;  // int64 [row][read]
  uintptr_t partials = 0, counters = 0;
};

class DeviceOp {
 public:
  explicit DeviceOp(std::shared_ptr<const Plan> plan);

  // To be copied to the device as they are.
  pybind11::bytes tables() const { return tables_; }
  // Weights as the kernels read them.
  pybind11::bytes packed() const;
  // Firings back of every read; -1: where the output goes.
  std::vector<int> taps_back() const;
  // Of the input's and of the output's map: elements from row to row and from pixel to pixel.
  std::vector<std::pair<int64_t, int64_t>> strides() const;
  // Of every operation of the device: first float of its bias, first channel, channels.
  std::vector<std::tuple<int64_t, int, int>> biases() const;
  bool has_float_weights() const;  // whatever the dtype
  int64_t n_floats() const { return static_cast<int64_t>(program().floats.size()); }
  int64_t partial_floats() const { return program().partial_floats; }
  int64_t counters() const { return program().counters; }
  // In the order of a cuda_stream of the calling thread's device.
  Status launch(const DeviceOpMemory& memory, uintptr_t stream) const;

 private:
  const device::Program& program() const { return *plan_->device; }
  template <class T>
  size_t add(const std::vector<T>& table);

  std::shared_ptr<const Plan> plan_;
  device::LaunchList list_;
  std::string tables_;
  struct {
    size_t values, segments, reads, sources, pieces, patches, ops, tiles;
  } at_;  // bytes from the start of the tables
};

}  // namespace pvnet::python
