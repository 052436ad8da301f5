// SPDX-License-Identifier: Apache-2.0
// Weights between Python and C++: a dict of arrays by name.
#pragma once

#include <pybind11/pybind11.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_file.hpp"
#include "model/weight_source.hpp"

#include "python/array.hpp"

namespace pvnet::python {

// Borrows the arrays of a dict; they become dense f32 one at a time. Make and destroy it with the
// GIL held, and use it without; what another thread writes into the arrays meanwhile, compile()
// refuses where it sees it.
class DictWeights : public WeightSource {
 public:
  DictWeights(const pybind11::dict& dict, const char* where);
  std::vector<std::string_view> names() const override;
  const std::vector<int64_t>* shape(std::string_view name) const override;
  Result<const Tensor*> tensor(std::string_view name, Tensor& room) const override;

 private:
  struct Entry {
    BorrowedArray array;
    std::vector<int64_t> shape;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

// Copies; any float dtype and strides are accepted and become dense f32.
Weights weights_from_dict(const pybind11::dict& dict, const char* where);
// Hands them over as numpy arrays of float32.
pybind11::dict weights_to_dict(Weights weights);

}  // namespace pvnet::python
