// SPDX-License-Identifier: Apache-2.0
// pvnet._core: registers what the register_*.cpp files define, nothing else.
#include <pybind11/pybind11.h>

#include "python/register.hpp"

namespace pvnet::python {

namespace py = pybind11;

void raise_if_failed(const Status& status) {
  if (status.ok()) return;
  const py::module_ errors = py::module_::import("pvnet.errors");
  static constexpr const char* kNames[] = {
      "PvnetError", "InvalidArgumentError", "GraphError",    "FileError",
      "StateError", "UnsupportedError",     "InternalError", "OutOfMemoryError"};
  const py::object type = errors.attr(kNames[static_cast<int>(status.code())]);
  PyErr_SetString(type.ptr(), status.message().c_str());
  throw py::error_already_set();
}

}  // namespace pvnet::python

PYBIND11_MODULE(_core, m) {
  m.doc() = "pvnet's C++ core; use the pvnet package, not this module.";
  m.attr("__version__") = PVNET_VERSION;
  pvnet::python::register_files(m);
  pvnet::python::register_graph(m);
  pvnet::python::register_ops(m);
  pvnet::python::register_picture(m);
  pvnet::python::register_plan(m);
  pvnet::python::register_profile(m);
  pvnet::python::register_device_op(m);
  pvnet::python::register_device_results(m);
  pvnet::python::register_shim(m);
  pvnet::python::register_stream(m);
}
