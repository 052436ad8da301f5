// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "model/whole_file.hpp"
#include "python/register.hpp"

namespace pvnet::python {

namespace py = pybind11;

void register_files(py::module_& m) {
  using model::WholeFile;
  py::class_<WholeFile>(m, "WholeFile")
      .def(py::init([](const std::string& path, const std::string& where) {
        return unwrap(WholeFile::create(path, where.c_str()));
      }))
      .def("fileno", &WholeFile::fd)
      .def("commit",
           [](WholeFile& file) {
             Status s;
             {
               const py::gil_scoped_release nogil;  // it waits for the disk
               s = file.commit();
             }
             raise_if_failed(s);
           })
      .def("discard", &WholeFile::discard);
}

}  // namespace pvnet::python
