// SPDX-License-Identifier: Apache-2.0
#include "python/weights.hpp"

#include <pybind11/numpy.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

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
  if (a.contiguous()) {
    std::transform(data, data + n, out.begin(), [](T x) { return static_cast<float>(x); });
    return;
  }
  int64_t index[kMaxRank] = {};
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = 0;
    for (int d = 0; d < a.rank; ++d) at += index[d] * a.strides[d];
    out[static_cast<size_t>(i)] = static_cast<float>(data[at]);
    for (int d = a.rank - 1; d >= 0 && ++index[d] == a.shape[d]; --d) index[d] = 0;
  }
}

void copy_tensor(const BorrowedArray& a, const std::vector<int64_t>& shape, Tensor& to) {
  to.shape = shape;
  if (a.dtype == DType::f32) {
    copy_dense<float>(a, to.data);
  } else {
    copy_dense<double>(a, to.data);
  }
}

}  // namespace

DictWeights::DictWeights(const py::dict& dict, const char* where) {
  for (const auto& [key, value] : dict) {
    if (!py::isinstance<py::str>(key)) {
      raise_if_failed({Code::invalid_argument,
                       std::string("[") + where +
                           "] a weight has no name: got a key that is no "
                           "string, expected names such as 'stem.weight'. Use string keys."});
    }
    auto name = key.cast<std::string>();
    const std::string what = std::string(where) + ": weight '" + name + "'";
    BorrowedArray a = unwrap(borrow(value, what));
    if (a.dtype != DType::f32 && a.dtype != DType::f64) {
      raise_if_failed({Code::invalid_argument, "[" + what + "] the dtype is wrong: got " +
                                                   to_string(a.dtype) +
                                                   ", expected float32 or float64. Convert it."});
    }
    std::vector<int64_t> shape(a.shape, a.shape + a.rank);
    entries_.emplace(std::move(name), Entry{std::move(a), std::move(shape)});
  }
}

std::vector<std::string_view> DictWeights::names() const {
  std::vector<std::string_view> all;
  all.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) all.emplace_back(name);
  return all;
}

const std::vector<int64_t>* DictWeights::shape(std::string_view name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second.shape;
}

Result<const Tensor*> DictWeights::tensor(std::string_view name, Tensor& room) const {
  const Entry& entry = entries_.find(name)->second;
  copy_tensor(entry.array, entry.shape, room);
  return &room;
}

Weights weights_from_dict(const py::dict& dict, const char* where) {
  const DictWeights source(dict, where);
  Weights out;
  for (const std::string_view name : source.names()) {
    Tensor& t = out[std::string(name)];
    if (const auto copied = source.tensor(name, t); !copied.ok()) raise_if_failed(copied.status());
  }
  return out;
}

py::dict weights_to_dict(Weights weights) {
  py::dict out;
  for (auto& [name, tensor] : weights) {
    auto held = std::make_unique<std::vector<float>>(std::move(tensor.data));
    float* const data = held->data();
    const py::capsule owner(held.get(),
                            [](void* floats) { delete static_cast<std::vector<float>*>(floats); });
    held.release();
    out[py::str(name)] = py::array_t<float>(
        std::vector<py::ssize_t>(tensor.shape.begin(), tensor.shape.end()), data, owner);
  }
  return out;
}

}  // namespace pvnet::python
