// SPDX-License-Identifier: Apache-2.0
// One function per noun; module.cpp calls them all.
#pragma once

#include <pybind11/pybind11.h>

#include "graph/status.hpp"

namespace pvnet::python {

void register_device_op(pybind11::module_& m);       // DeviceOp
void register_device_results(pybind11::module_& m);  // DeviceArray, DeviceTick
void register_files(pybind11::module_& m);           // WholeFile
void register_graph(pybind11::module_& m);           // Graph, load_model, save_model
void register_ops(pybind11::module_& m);             // stateless kernels on DLPack tensors
void register_picture(pybind11::module_& m);         // picture: drawing over pictures
void register_plan(pybind11::module_& m);            // Plan, compile
void register_profile(pybind11::module_& m);         // nvtx_*: ranges that profilers show
void register_shim(pybind11::module_& m);            // memory of the machine for tests, where it is
void register_stream(pybind11::module_& m);          // Stream

// Raises the Python exception of a failed Status (a subclass of pvnet.errors.PvnetError).
void raise_if_failed(const Status& status);
template <class T>
T unwrap(Result<T> r) {
  raise_if_failed(r.status());
  return std::move(r).value();
}

}  // namespace pvnet::python
