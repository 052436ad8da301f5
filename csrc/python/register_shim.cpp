// SPDX-License-Identifier: Apache-2.0
// Of tests: memory and cuda_streams of the machine that stands in for a device, where a build has
// it. Python's tests make their device arrays of them.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "backends/cuda/device.hpp"
#include "backends/cuda/error.hpp"
#include "python/register.hpp"

namespace pvnet::python {

namespace py = pybind11;

namespace {

using cuda::CudaStream;

void must(cuda::ErrorCode code) {
  raise_if_failed(cuda::status_of(*cuda::shim_machine(), code, "shim", "a call of a test"));
}
CudaStream handle_of(uintptr_t stream) { return reinterpret_cast<CudaStream>(stream); }

uintptr_t allocate(size_t bytes) {
  void* memory = nullptr;
  must(cuda::shim_machine()->allocate(&memory, bytes));
  return reinterpret_cast<uintptr_t>(memory);
}

uintptr_t make_stream() {
  CudaStream stream = nullptr;
  must(cuda::shim_machine()->create_stream(&stream));
  return reinterpret_cast<uintptr_t>(stream);
}

// What `then` is given from now on comes behind what `first` has been given.
void order(uintptr_t first, uintptr_t then) {
  cuda::Machine& machine = *cuda::shim_machine();
  cuda::Event event = nullptr;
  must(machine.create_event(&event, false));
  must(machine.record(event, handle_of(first)));
  must(machine.wait(handle_of(then), event));
  must(machine.destroy_event(event));
}

// In the order of a cuda_stream, as the producer of a frame enqueues its work. `host` is read at
// once; the copy runs when the machine likes.
void write(uintptr_t memory, const py::bytes& host, uintptr_t stream) {
  cuda::Machine& machine = *cuda::shim_machine();
  const auto bytes = static_cast<std::string_view>(host);
  void* pinned = nullptr;
  must(machine.allocate_pinned(&pinned, bytes.size()));
  std::copy(bytes.begin(), bytes.end(), static_cast<char*>(pinned));
  must(machine.copy(reinterpret_cast<void*>(memory), pinned, bytes.size(), handle_of(stream)));
  static std::vector<void*> kept;  // until the process ends: the copy may be late
  kept.push_back(pinned);
}

py::bytes read(uintptr_t memory, size_t bytes, uintptr_t stream) {
  std::string host(bytes, '\0');
  must(cuda::shim_machine()->copy(host.data(), reinterpret_cast<const void*>(memory), bytes,
                                  handle_of(stream)));
  return host;
}

}  // namespace

void register_shim(py::module_& m) {
  if (cuda::shim_machine() == nullptr) return;
  py::module_ shim = m.def_submodule("shim", "The machine that stands in for a device.");
  shim.def("allocate", &allocate);
  shim.def("release",
           [](uintptr_t at) { must(cuda::shim_machine()->release(reinterpret_cast<void*>(at))); });
  shim.def("make_stream", &make_stream);
  shim.def("order", &order);
  shim.def("write", &write);
  shim.def("read", &read);
}

}  // namespace pvnet::python
