// SPDX-License-Identifier: Apache-2.0
#include "python/device_results.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <utility>

#include "python/dlpack.hpp"
#include "python/gil.hpp"
#include "python/register.hpp"

namespace pvnet::python {

namespace py = pybind11;

namespace {

constexpr const char* kWhere = "DeviceArray";

// What a capsule owns: the memory lives as long as its Stream.
struct Exported {
  std::shared_ptr<StreamCore> stream;
  std::vector<int64_t> shape, strides;
};

// Both kinds of capsules: T is dlpack::Managed or dlpack::ManagedVersioned.
template <class T>
struct Capsule : T {
  Exported owned;

  static void destroy(T* managed) { delete static_cast<Capsule*>(managed); }
  static py::object make(Exported owned, float* data, int device, const char* name) {
    auto* c = new Capsule{};
    c->owned = std::move(owned);
    c->tensor = {data,       {dlpack::kCuda, device}, static_cast<int32_t>(c->owned.shape.size()),
                 {2, 32, 1}, c->owned.shape.data(),   c->owned.strides.data(),
                 0};
    c->manager_ctx = c;
    c->deleter = &destroy;
    if constexpr (std::is_same_v<T, dlpack::ManagedVersioned>) {
      c->version = {dlpack::kMajorVersion, 0};
    }
    T* managed = c;
    // A consumer that takes the tensor renames the capsule and calls the deleter itself.
    PyObject* capsule = PyCapsule_New(managed, name, [](PyObject* self) {
      for (const char* own : {"dltensor", "dltensor_versioned"}) {
        if (PyCapsule_IsValid(self, own) != 0) {
          auto* m = static_cast<T*>(PyCapsule_GetPointer(self, own));
          m->deleter(m);
        }
      }
    });
    if (capsule == nullptr) {
      destroy(managed);
      throw py::error_already_set();
    }
    return py::reinterpret_steal<py::object>(capsule);
  }
};

template <class F>
void with_device(const StreamCore& stream, F&& f) {
  const Status status = [&] {
    const GilReleased release;
    return stream.with_device(kWhere, f);
  }();
  raise_if_failed(status);
}

}  // namespace

DeviceArray::DeviceArray(std::shared_ptr<StreamCore> stream, const DeviceResults& results,
                         int index)
    : stream_(std::move(stream)), results_(results), index_(index) {
  const Plan& plan = stream_->plan();
  const Shape& s = plan.outputs[static_cast<size_t>(index)].shape;
  shape_ = {plan.options.batch, s.c};
  with_device(*stream_, [&](DeviceTicks& device) -> Status {
    strides_ = {device.row_floats(), int64_t{s.h} * s.w};
    device_ = device.device();
    return {};
  });
  if (s.h == 1 && s.w == 1) return;
  shape_.insert(shape_.end(), {s.h, s.w});
  strides_.insert(strides_.end(), {s.w, 1});
}

py::tuple DeviceArray::shape() const { return py::tuple(py::cast(shape_)); }

py::object DeviceArray::dlpack(std::optional<int64_t> stream, bool versioned) const {
  constexpr int64_t kNoOrder = -1;
  float* data = nullptr;
  with_device(*stream_, [&](DeviceTicks& device) -> Status {
    auto found = device.data(results_, index_);
    if (!found.ok()) return found.status();
    data = const_cast<float*>(found.value());
    if (stream == kNoOrder) return {};
    const auto number = static_cast<StreamNumber>(stream.value_or(kLegacyStream));
    return device.make_wait(number, results_);
  });
  Exported owned{stream_, shape_, strides_};
  if (versioned) {
    return Capsule<dlpack::ManagedVersioned>::make(std::move(owned), data, device_,
                                                   "dltensor_versioned");
  }
  return Capsule<dlpack::Managed>::make(std::move(owned), data, device_, "dltensor");
}

py::dict DeviceArray::cuda_array_interface() const {
  const float* data = nullptr;
  with_device(*stream_, [&](DeviceTicks& device) -> Status {
    auto found = device.data(results_, index_);
    if (!found.ok()) return found.status();
    data = found.value();
    return {};
  });
  std::vector<int64_t> bytes = strides_;
  for (int64_t& stride : bytes) stride *= static_cast<int64_t>(sizeof(float));
  py::dict about;
  about["shape"] = shape();
  about["typestr"] = "<f4";
  about["data"] = py::make_tuple(reinterpret_cast<uintptr_t>(data), false);
  about["strides"] = py::tuple(py::cast(bytes));
  about["stream"] = std::max<StreamNumber>(results_.stream, kLegacyStream);
  about["version"] = 3;
  return about;
}

py::array_t<float> DeviceArray::numpy() const {
  py::array_t<float> out(std::vector<py::ssize_t>(shape_.begin(), shape_.end()));
  float* to = out.mutable_data();
  const int64_t row_floats = out.size() / shape_[0];
  with_device(*stream_, [&](DeviceTicks& device) -> Status {
    for (int row = 0; row < shape_[0]; ++row) {
      PVNET_TRY(device.read(results_, index_, row, to + row * row_floats));
    }
    return {};
  });
  return out;
}

bool DeviceTick::finite() const {
  int frame = 0;
  with_device(*stream, [&](DeviceTicks& device) { return device.not_finite(results, &frame); });
  return frame == 0;
}

void register_device_results(py::module_& m) {
  py::class_<DeviceArray>(m, "DeviceArray")
      .def("dlpack", &DeviceArray::dlpack, py::arg("stream"), py::arg("versioned"))
      .def("cuda_array_interface", &DeviceArray::cuda_array_interface)
      .def("numpy", &DeviceArray::numpy)
      .def_property_readonly("device", &DeviceArray::device)
      .def_property_readonly("shape", &DeviceArray::shape);
  py::class_<DeviceTick>(m, "DeviceTick")
      .def("finite", &DeviceTick::finite)
      .def_readonly("of_host", &DeviceTick::of_host)
      .def("take_held", [](DeviceTick& t) { return std::exchange(t.held, py::list()); });
}

}  // namespace pvnet::python
