// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string>

#include "runtime/stream.hpp"
#include "runtime/test_hooks.hpp"

#include "python/array.hpp"
#include "python/device_results.hpp"
#include "python/frames.hpp"
#include "python/gil.hpp"
#include "python/register.hpp"

namespace pvnet::python {

namespace py = pybind11;

namespace {

bool is_mask_dtype(py::handle rows) {
  if (!py::hasattr(rows, "dtype")) return false;
  const auto name = py::str(rows.attr("dtype")).cast<std::string>();  // numpy, torch, CuPy
  return name == "bool" || name == "torch.bool";
}

// Empty when every row runs. Numbers are refused: [0, 1] may be meant as indices, and as a mask it
// would silently be [False, True].
std::vector<uint8_t> row_mask(const py::object& rows, int batch, const char* where) {
  std::vector<uint8_t> mask;
  if (rows.is_none()) return mask;
  const std::string expected = "expected " + std::to_string(batch) + " bools, one per batch row";
  const std::string cure =
      ". Pass a mask such as [True] * " + std::to_string(batch) + ", True for rows to take.";
  const auto refuse = [&](const std::string& got) {
    raise_if_failed({Code::invalid_argument, std::string("[") + where + "] rows is no mask: got " +
                                                 got + ", " + expected + cure});
  };
  const bool text = py::isinstance<py::str>(rows) || py::isinstance<py::bytes>(rows);
  if (text || py::isinstance<py::dict>(rows) || py::isinstance<py::set>(rows) ||
      !py::hasattr(rows, "__len__") || !py::hasattr(rows, "__iter__")) {
    refuse(py::type::of(rows).attr("__name__").cast<std::string>());
  }
  const bool array = is_mask_dtype(rows);
  for (const py::handle item : rows) {
    if (!array && !py::isinstance<py::bool_>(item) && !is_mask_dtype(item)) {
      refuse(py::type::of(item).attr("__name__").cast<std::string>() + " " +
             py::repr(item).cast<std::string>());
    }
    const int truth = PyObject_IsTrue(item.ptr());
    if (truth < 0) throw py::error_already_set();  // e.g. a row of a matrix of bools
    mask.push_back(static_cast<uint8_t>(truth));
  }
  if (static_cast<int>(mask.size()) != batch) refuse(std::to_string(mask.size()) + " bools");
  return mask;
}

// New arrays for the results of one tick: (outputs in the order of the plan, tick[b] int64,
// valid[b] bool).
struct ResultArrays {
  explicit ResultArrays(const Plan& plan) : tick(plan.options.batch), valid(plan.options.batch) {
    for (const OutputFacts& o : plan.outputs) {
      std::vector<py::ssize_t> shape{plan.options.batch, o.shape.c};
      if (o.shape.h != 1 || o.shape.w != 1) shape.insert(shape.end(), {o.shape.h, o.shape.w});
      outputs.emplace_back(shape);
      pointers.push_back(outputs.back().mutable_data());
    }
    results = {pointers.data(), tick.mutable_data(), valid.mutable_data()};
  }
  py::tuple to_python() const {
    py::list list;
    for (const auto& o : outputs) list.append(o);
    return py::make_tuple(list, tick, valid, py::none());
  }

  std::vector<py::array_t<float>> outputs;
  std::vector<float*> pointers;
  py::array_t<int64_t> tick;
  py::array_t<bool> valid;
  TickResults results;
};

py::tuple read(const StreamCore& stream) {
  const ResultArrays arrays(stream.plan());
  raise_if_failed(stream.read(arrays.results));
  return arrays.to_python();
}

// The outputs stay on the device: (arrays, tick[b] int64, valid[b] bool, DeviceTick).
py::tuple device_results(const std::shared_ptr<StreamCore>& stream, const DeviceTick& made) {
  const Plan& plan = stream->plan();
  py::list outputs;
  for (int i = 0; i < static_cast<int>(plan.outputs.size()); ++i) {
    outputs.append(DeviceArray(stream, made.results, i));
  }
  py::array_t<int64_t> tick(plan.options.batch);
  py::array_t<bool> valid(plan.options.batch);
  stream->count(tick.mutable_data(), valid.mutable_data());
  return py::make_tuple(outputs, tick, valid, made);
}

py::tuple tick_on_device(const std::shared_ptr<StreamCore>& stream, const Frames& frames,
                         const uint8_t* mask, std::optional<StreamNumber> asked, StreamNumber own) {
  TickOrder order{asked, {}};
  for (const BorrowedArray& a : frames.arrays) {
    if (!order.stream && a.work_stream) order.stream = a.work_stream;
  }
  DeviceTick made{stream, {}, py::list(), false};
  for (const BorrowedArray& a : frames.arrays) {
    if (a.work_stream && a.work_stream == order.stream) continue;
    // Without a stream of its own, a producer has put its work in front of what was asked for.
    const StreamNumber ready = a.work_stream.value_or(asked.value_or(own));
    if (order.stream && ready != *order.stream) order.after.push_back(ready);
    // Its producer may use the memory for something else as soon as it is given back.
    made.held.append(a.owner);
  }
  const Status status = [&] {
    const GilReleased release;
    return stream->tick_on_device(frames.views.data(), mask, order, &made.results);
  }();
  raise_if_failed(status);
  return device_results(stream, made);
}

py::tuple tick_without_waiting(const std::shared_ptr<StreamCore>& stream, const Frames& frames,
                               const uint8_t* mask) {
  DeviceTick made{stream, {}, py::list(), true};
  const Status status = [&]() -> Status {
    const GilReleased release;
    PVNET_TRY(stream->tick(frames.views.data(), mask));
    return stream->with_device("Stream.tick", [&](DeviceTicks& device) -> Status {
      made.results = device.last_results();
      return {};
    });
  }();
  raise_if_failed(status);
  return device_results(stream, made);
}

// Whether all frames lie on the device; some of them are refused.
bool all_on_device(const Frames& frames) {
  const auto there = std::count_if(frames.arrays.begin(), frames.arrays.end(),
                                   [](const BorrowedArray& a) { return a.on_device(); });
  if (there != 0 && there != static_cast<std::ptrdiff_t>(frames.arrays.size())) {
    raise_if_failed({Code::invalid_argument,
                     std::string("[") + kFrameWhere + "] the frames lie in different places: got " +
                         std::to_string(there) + " of " + std::to_string(frames.arrays.size()) +
                         " on the device, expected all or none. Move the others there, too."});
  }
  return there != 0;
}

void refuse_stream_of_host_frames() {
  raise_if_failed({Code::invalid_argument,
                   "[Stream.tick] cuda_stream orders frames on a device: got frames on the host, "
                   "expected frames on the plan's device. Leave cuda_stream out."});
}

// wait: false leaves the outputs on a device, as those of frames that lie there.
py::tuple tick(const std::shared_ptr<StreamCore>& owner, const py::list& inputs,
               const py::object& rows, std::optional<StreamNumber> cuda_stream, bool wait) {
  StreamCore& stream = *owner;
  if (cuda_stream == StreamNumber{0}) cuda_stream = kLegacyStream;  // CUDA's other name of it
  const int batch = stream.plan().options.batch;
  BorrowFrom from;
  from.cure = "Move the frame to the CPU, e.g. tensor.cpu(), or compile with backend=\"cuda\"";
  StreamNumber own = 0;
  if (stream.on_device()) {
    raise_if_failed(stream.with_device("Stream.tick", [&](DeviceTicks& device) -> Status {
      own = device.own_stream();
      from.cuda = CudaDevice{device.device(), cuda_stream.value_or(own)};
      return {};
    }));
  }
  Frames frames;
  if (inputs.size() != stream.plan().input_values.size()) {
    raise_if_failed({Code::invalid_argument, std::string("[") + kFrameWhere +
                                                 "] the number of inputs is wrong: got " +
                                                 std::to_string(inputs.size()) + ", expected " +
                                                 std::to_string(stream.plan().input_values.size()) +
                                                 ". Pass one frame per input node."});
  }
  for (const py::handle& input : inputs) {
    frames.arrays.push_back(unwrap(borrow(input, kFrameWhere, from)));
    raise_if_failed(add_views(frames, batch));
  }
  const std::vector<uint8_t> mask = row_mask(rows, batch, "Stream.tick");
  if (all_on_device(frames)) {
    return tick_on_device(owner, frames, mask.empty() ? nullptr : mask.data(), cuda_stream, own);
  }
  if (cuda_stream) refuse_stream_of_host_frames();
  if (!wait && stream.on_device()) {
    return tick_without_waiting(owner, frames, mask.empty() ? nullptr : mask.data());
  }
  const ResultArrays arrays(stream.plan());
  const Status status = [&] {
    const GilReleased release;
    return stream.tick(frames.views.data(), mask.empty() ? nullptr : mask.data(), &arrays.results);
  }();
  raise_if_failed(status);
  return arrays.to_python();
}

void require_index(const char* what, int64_t index, size_t count) {
  if (index >= 0 && static_cast<uint64_t>(index) < count) return;
  raise_if_failed({Code::invalid_argument, std::string("[Stream.age_ticks] ") + what +
                                               " is out of range: got " + std::to_string(index) +
                                               ", expected 0 to " + std::to_string(count - 1) +
                                               ". Pass an index of the plan."});
}

int64_t age_ticks(const StreamCore& stream, int64_t output, int64_t row, int64_t stage) {
  const Plan& plan = stream.plan();
  require_index("output", output, plan.outputs.size());
  require_index("row", row, static_cast<size_t>(plan.options.batch));
  require_index("stage", stage, static_cast<size_t>(plan.graph.n_stages()));
  return stream.age_ticks(static_cast<int>(output), static_cast<int>(row), static_cast<int>(stage));
}

py::array_t<int64_t> trace_stop(StreamCore& stream) {
  const std::vector<TraceEvent> events = stream.trace_stop();
  py::array_t<int64_t> out({static_cast<py::ssize_t>(events.size()), py::ssize_t{8}});
  int64_t* p = out.mutable_data();
  for (const TraceEvent& e : events) {
    for (const int64_t x : {e.tick, int64_t{e.lane}, int64_t{e.op}, int64_t{e.lo}, int64_t{e.hi},
                            e.begin_ns, e.end_ns, static_cast<int64_t>(e.place)}) {
      *p++ = x;
    }
  }
  stream.trace_clear();
  return out;
}

}  // namespace

void register_stream(py::module_& m) {
  // Shared with the arrays that lie in its memory.
  py::class_<StreamCore, std::shared_ptr<StreamCore>>(m, "Stream")
      .def(py::init([](const std::shared_ptr<Plan>& plan) {
        return std::shared_ptr<StreamCore>(unwrap(StreamCore::create(plan)));
      }))
      .def("tick", &tick, py::arg("frames"), py::arg("rows") = py::none(),
           py::arg("cuda_stream") = py::none(), py::arg("wait") = true)
      .def("outputs", &read)
      .def_property_readonly("ticks",
                             [](const StreamCore& s) {
                               py::array_t<int64_t> ticks(s.plan().options.batch);
                               for (int r = 0; r < s.plan().options.batch; ++r) {
                                 ticks.mutable_at(r) = s.ticks_done(r);
                               }
                               return ticks;
                             })
      // Changes with every tick that is made; cheap, for Stream.tick reads it before each one.
      .def_property_readonly("ticks_sum",
                             [](const StreamCore& s) {
                               int64_t sum = 0;
                               for (int r = 0; r < s.plan().options.batch; ++r) {
                                 sum += s.ticks_done(r);
                               }
                               return sum;
                             })
      .def_property_readonly("lanes_used", &StreamCore::lanes_used)
      .def("make_ticks",  // of tests
           [](StreamCore& s, const std::optional<std::string>& way) {
             static const std::map<std::string, TickWay> kWays = {{"shared", TickWay::shared},
                                                                  {"flexible", TickWay::flexible},
                                                                  {"alone", TickWay::alone}};
             StreamHooks::make_ticks(s, way ? std::optional(kWays.at(*way)) : std::nullopt);
           })
      .def("age_ticks", &age_ticks)
      .def("reset",
           [](StreamCore& s, const py::object& rows) {
             const auto mask = row_mask(rows, s.plan().options.batch, "Stream.reset");
             raise_if_failed(s.reset(mask.empty() ? nullptr : mask.data()));
           })
      .def("snapshot",
           [](const StreamCore& s) {
             std::string bytes(s.snapshot_bytes(), '\0');
             raise_if_failed(s.snapshot(bytes.data(), bytes.size()));
             return py::bytes(bytes);
           })
      .def("restore",
           [](StreamCore& s, const py::bytes& bytes) {
             const auto view = static_cast<std::string_view>(bytes);
             raise_if_failed(s.restore(view.data(), view.size()));
           })
      .def("trace_start",
           [](StreamCore& s, size_t capacity) { raise_if_failed(s.trace_start(capacity)); })
      .def("trace_stop", &trace_stop)
      .def("poison_unwritten", [](StreamCore& s) { StreamHooks::poison_unwritten(s); });
}

}  // namespace pvnet::python
