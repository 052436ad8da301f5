// SPDX-License-Identifier: Apache-2.0
// Weights between Python and C++: a dict of arrays by name.
#pragma once

#include <pybind11/pybind11.h>

#include "model/model_file.hpp"

namespace pvnet::python {

// Copies; any float dtype and strides are accepted and become dense f32.
Weights weights_from_dict(const pybind11::dict& dict, const char* where);
// Copies into numpy arrays of float32.
pybind11::dict weights_to_dict(const Weights& weights);

}  // namespace pvnet::python
