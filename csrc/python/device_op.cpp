// SPDX-License-Identifier: Apache-2.0
#include "python/device_op.hpp"

#include <pybind11/stl.h>

#include <string>
#include <utility>

#include "backends/cuda/device.hpp"
#include "backends/cuda/error.hpp"
#include "backends/device_layout.hpp"
#include "python/gil.hpp"
#include "python/register.hpp"

namespace pvnet::python {

namespace py = pybind11;

namespace {

constexpr const char* kWhere = "pvnet.ops";

}  // namespace

DeviceOp::DeviceOp(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {
  if (plan_->device == nullptr) {
    raise_if_failed(
        {Code::invalid_argument, "[pvnet.ops] the plan is not for a device: got backend \"" +
                                     plan_->options.backend +
                                     "\", expected \"cuda\". Compile it with backend=\"cuda\"."});
  }
  const device::Program& p = program();
  list_ = device::gather(*plan_, p, device::Gather::wave, -1);
  at_ = {add(p.values), add(p.segments), add(p.reads), add(p.sources),
         add(p.pieces), add(p.patches),  add(p.ops),   add(list_.tiles)};
}

template <class T>
size_t DeviceOp::add(const std::vector<T>& table) {
  constexpr size_t kAlignment = 16;
  tables_.resize((tables_.size() + kAlignment - 1) / kAlignment * kAlignment);
  const size_t at = tables_.size();
  tables_.append(reinterpret_cast<const char*>(table.data()), table.size() * sizeof(T));
  return at;
}

py::bytes DeviceOp::packed() const {
  return {reinterpret_cast<const char*>(plan_->packed.data()), plan_->packed.size()};
}

std::vector<int> DeviceOp::taps_back() const {
  std::vector<int> all;
  for (const pv_read& r : program().reads) all.push_back(r.taps_back);
  // The input's own write, by the first kernel of a tick, is no read of the operation.
  const int input = program().inputs[0].value;
  for (size_t i = 0; i < all.size(); ++i) {
    const pvnet_device_segment& s =
        program().segments[static_cast<size_t>(program().reads[i].segment)];
    if (all[i] == PV_WRITE && s.value == input) all[i] = PV_WRITE - 1;
  }
  return all;
}

std::vector<std::pair<int64_t, int64_t>> DeviceOp::strides() const {
  std::vector<std::pair<int64_t, int64_t>> both;
  for (const int value : {program().inputs[0].value, program().ops[0].out_value}) {
    const pvnet_device_value& v = program().values[static_cast<size_t>(value)];
    both.emplace_back(v.row_stride, v.pixel_stride);
  }
  return both;
}

std::vector<std::tuple<int64_t, int, int>> DeviceOp::biases() const {
  std::vector<std::tuple<int64_t, int, int>> all;
  for (const pv_op& op : program().ops) all.emplace_back(op.floats, op.out_c0, op.out_c);
  return all;
}

bool DeviceOp::has_float_weights() const { return program().ops[0].kind == PV_DEPTHWISE; }

Status DeviceOp::launch(const DeviceOpMemory& memory, uintptr_t stream) const {
  auto device = cuda::find_device(plan_->options.isa);
  if (!device.ok()) return device.status();
  const auto table = [&](size_t at, auto*& to) {
    to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(memory.tables + at);
  };
  pv_program p = {};
  table(at_.values, p.values);
  table(at_.segments, p.segments);
  table(at_.reads, p.reads);
  table(at_.sources, p.sources);
  table(at_.pieces, p.pieces);
  table(at_.patches, p.patches);
  table(at_.ops, p.ops);
  table(at_.tiles, p.tiles);
  p.weights = reinterpret_cast<const void*>(memory.weights);
  p.floats = reinterpret_cast<const float*>(memory.floats);
  p.n_reads = static_cast<int32_t>(program().reads.size());
  p.n_rows = plan_->options.batch;
  p.memory = reinterpret_cast<void*>(memory.maps);
  p.slots = reinterpret_cast<int64_t*>(memory.slots);
  p.partials = reinterpret_cast<float*>(memory.partials);
  p.counters = reinterpret_cast<int32_t*>(memory.counters);
  const bool plain = is_plain_isa(plan_->options.isa);
  for (const device::Launch& l : list_.launches) {
    cuda::KernelLaunch launch;
    launch.kernel = plain    ? cuda::Kernel::plain_tiles
                    : l.rare ? cuda::Kernel::rare_tiles
                             : cuda::Kernel::tiles;
    launch.dtype = program().dtype;
    launch.program = p;
    launch.call = {l.first_tile, -1, 0, -1};
    launch.blocks = l.tiles;
    launch.shared_bytes = plain ? 0 : l.shared_bytes;
    cuda::Machine& machine = *device.value().machine;
    PVNET_CUDA_TRY(machine, launch(launch, reinterpret_cast<cuda::CudaStream>(stream)), kWhere,
                   "the launch of a kernel");
  }
  return {};
}

void register_device_op(py::module_& m) {
  py::class_<DeviceOp>(m, "DeviceOp")
      .def(py::init([](const std::shared_ptr<Plan>& plan) { return DeviceOp(plan); }))
      .def("tables", &DeviceOp::tables)
      .def("packed", &DeviceOp::packed)
      .def_property_readonly("taps_back", &DeviceOp::taps_back)
      .def_property_readonly("strides", &DeviceOp::strides)
      .def_property_readonly("biases", &DeviceOp::biases)
      .def_property_readonly("has_float_weights", &DeviceOp::has_float_weights)
      .def_property_readonly("n_floats", &DeviceOp::n_floats)
      .def_property_readonly("partial_floats", &DeviceOp::partial_floats)
      .def_property_readonly("counters", &DeviceOp::counters)
      .def(
          "launch",
          [](const DeviceOp& op, uintptr_t tables, uintptr_t weights, uintptr_t floats,
             uintptr_t maps, uintptr_t slots, uintptr_t partials, uintptr_t counters,
             uintptr_t stream) {
            const Status status = [&] {
              const GilReleased release;
              return op.launch({tables, weights, floats, maps, slots, partials, counters}, stream);
            }();
            raise_if_failed(status);
          },
          py::kw_only(), py::arg("tables"), py::arg("weights"), py::arg("floats"), py::arg("maps"),
          py::arg("slots"), py::arg("partials"), py::arg("counters"), py::arg("stream"));
}

}  // namespace pvnet::python
