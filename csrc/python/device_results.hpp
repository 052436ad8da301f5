// SPDX-License-Identifier: Apache-2.0
// The results of a tick where they lie, on the device: arrays that DLPack and
// `__cuda_array_interface__` hand on without a copy.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/device_ticks.hpp"
#include "runtime/stream.hpp"

namespace pvnet::python {

// Output `index` of one tick: f32 [b, c, h, w], or [b, c] where h = w = 1.
class DeviceArray {
 public:
  DeviceArray(std::shared_ptr<StreamCore> stream, const DeviceResults& results, int index);

  // A capsule whose memory is there for what `stream` is given from now on. stream: as of
  // `__dlpack__`: -1 orders nothing, none is the legacy default one.
  pybind11::object dlpack(std::optional<int64_t> stream, bool versioned) const;
  pybind11::dict cuda_array_interface() const;
  pybind11::array_t<float> numpy() const;  // waits
  int device() const { return device_; }
  pybind11::tuple shape() const;

 private:
  std::shared_ptr<StreamCore> stream_;
  DeviceResults results_;
  int index_ = 0, device_ = 0;
  std::vector<int64_t> shape_, strides_;
};

// What is to be known of a tick on a device besides its outputs.
struct DeviceTick {
  std::shared_ptr<StreamCore> stream;
  DeviceResults results;
  // Memory of frames that nobody else keeps until the tick has run.
  pybind11::list held;
  bool of_host = false;  // the frames lay on the host

  bool finite() const;  // waits
};

}  // namespace pvnet::python
