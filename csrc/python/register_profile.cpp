// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include "host/nvtx.hpp"
#include "python/register.hpp"

namespace pvnet::python {

namespace py = pybind11;

void register_profile(py::module_& m) {
  m.def("nvtx_built", &nvtx::built, "Whether this build can show ranges to a profiler.");
  m.def(
      "nvtx_attach",
      [] {
        nvtx::attach();
        return nvtx::attached();
      },
      "Whether a profiler is attached; looks once in a process.");
  m.def(
      "nvtx_push",
      [](const char* name, int64_t payload) { nvtx::push(nvtx::Category::io, name, payload); },
      py::arg("name"), py::arg("payload"), "Opens a range of this thread, of category io.");
  m.def("nvtx_pop", &nvtx::pop, "Closes the range of this thread that was opened last.");
}

}  // namespace pvnet::python
