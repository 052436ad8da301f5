// SPDX-License-Identifier: Apache-2.0
#include "python/weights.hpp"

#include <pybind11/numpy.h>

#include <cstring>
#include <string>

#include "python/array.hpp"
#include "python/register.hpp"

namespace pvnet::python {

namespace py = pybind11;

namespace {

template <class T>
void copy_dense(const BorrowedArray& a, std::vector<float>& out) {
  const int64_t n = a.numel();
  out.resize(static_cast<size_t>(n));
  const T* data = static_cast<const T*>(a.data);
  int64_t index[kMaxRank] = {};
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = 0;
    for (int d = 0; d < a.rank; ++d) at += index[d] * a.strides[d];
    out[static_cast<size_t>(i)] = static_cast<float>(data[at]);
    for (int d = a.rank - 1; d >= 0 && ++index[d] == a.shape[d]; --d) index[d] = 0;
  }
}

}  // namespace

Weights weights_from_dict(const py::dict& dict, const char* where) {
  Weights out;
  for (const auto& [key, value] : dict) {
    if (!py::isinstance<py::str>(key)) {
      raise_if_failed({Code::invalid_argument,
                       std::string("[") + where +
                           "] a weight has no name: got a key that is no "
                           "string, expected names such as 'stem.weight'. Use string keys."});
    }
    const auto name = key.cast<std::string>();
    const std::string what = std::string(where) + ": weight '" + name + "'";
    const BorrowedArray a = unwrap(borrow(value, what));
    Tensor t;
    t.shape.assign(a.shape, a.shape + a.rank);
    if (a.dtype == DType::f32) {
      copy_dense<float>(a, t.data);
    } else if (a.dtype == DType::f64) {
      copy_dense<double>(a, t.data);
    } else {
      raise_if_failed({Code::invalid_argument, "[" + what + "] the dtype is wrong: got " +
                                                   to_string(a.dtype) +
                                                   ", expected float32 or float64. Convert it."});
    }
    out.emplace(name, std::move(t));
  }
  return out;
}

py::dict weights_to_dict(const Weights& weights) {
  py::dict out;
  for (const auto& [name, tensor] : weights) {
    py::array_t<float> a(std::vector<py::ssize_t>(tensor.shape.begin(), tensor.shape.end()));
    std::memcpy(a.mutable_data(), tensor.data.data(), tensor.data.size() * sizeof(float));
    out[py::str(name)] = a;
  }
  return out;
}

}  // namespace pvnet::python
