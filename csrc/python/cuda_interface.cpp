// SPDX-License-Identifier: Apache-2.0
// `__cuda_array_interface__`, version 3: how numba and older libraries show their device arrays.
#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "python/array.hpp"
#include "python/dlpack.hpp"

namespace pvnet::python {
namespace {

namespace py = pybind11;

struct Element {
  DType dtype;
  int bytes;
};

// typestr: byte order, kind, bytes, as in numpy.
Element element_of(const std::string& typestr) {
  struct Row {
    const char* text;
    Element element;
  };
  static constexpr Row kTable[] = {{"|u1", {DType::u8, 1}},     {"<f4", {DType::f32, 4}},
                                   {"<f8", {DType::f64, 8}},    {"<f2", {DType::f16, 2}},
                                   {"<i4", {DType::i32, 4}},    {"<i8", {DType::i64, 8}},
                                   {"|b1", {DType::boolean, 1}}};
  for (const Row& row : kTable) {
    if (typestr == row.text) return row.element;
  }
  return {DType::other, 1};
}

Status read_axes(const py::dict& about, int element_bytes, BorrowedArray& a,
                 std::string_view where) {
  const auto shape = about["shape"].cast<std::vector<int64_t>>();
  if (shape.size() > kMaxRank) {
    return array_error(Code::invalid_argument, where, "too many axes",
                       "rank " + std::to_string(shape.size()),
                       "a rank of at most " + std::to_string(kMaxRank), "Reshape the array");
  }
  a.rank = static_cast<int>(shape.size());
  const bool given = about.contains("strides") && !about["strides"].is_none();
  const auto strides =
      given ? about["strides"].cast<std::vector<int64_t>>() : std::vector<int64_t>();
  if (given && strides.size() != shape.size()) throw py::cast_error("strides do not fit the shape");
  int64_t dense = 1;
  for (int i = a.rank; i-- > 0;) {
    const auto at = static_cast<size_t>(i);
    a.shape[i] = shape[at];
    a.strides[i] = given ? strides[at] / element_bytes : dense;
    if (given && strides[at] % element_bytes != 0) {
      return array_error(Code::invalid_argument, where, "elements do not lie on an even grid",
                         "a stride of " + std::to_string(strides[at]) + " bytes",
                         "a multiple of the element size " + std::to_string(element_bytes),
                         "Make a copy, e.g. array.copy()");
    }
    dense *= shape[at];
  }
  return {};
}

}  // namespace

Result<BorrowedArray> borrow_cuda_interface(py::handle obj, std::string_view where,
                                            const CudaDevice& device) {
  std::string fault;
  try {
    const py::dict about = obj.attr("__cuda_array_interface__");
    const Element element = element_of(about["typestr"].cast<std::string>());
    const auto data = about["data"].cast<std::pair<uintptr_t, bool>>();
    BorrowedArray a;
    a.data = reinterpret_cast<void*>(data.first);
    a.readonly = data.second;
    a.dtype = element.dtype;
    a.device_type = dlpack::kCuda;
    a.device_id = device.id;  // the interface does not say: pointers are of one address space
    a.owner = py::reinterpret_borrow<py::object>(obj);
    PVNET_TRY(read_axes(about, element.bytes, a, where));
    PVNET_TRY(check_pointer(a, static_cast<size_t>(element.bytes), where));
    if (about.contains("stream") && !about["stream"].is_none()) {
      a.work_stream = std::max<uintptr_t>(about["stream"].cast<uintptr_t>(), 1);
    }
    return a;
  } catch (py::error_already_set& error) {
    error.restore();
    fault = take_python_error();
  } catch (const py::cast_error& error) {
    fault = error.what();
  }
  return array_error(Code::invalid_argument, where, "this array cannot be read",
                     "a __cuda_array_interface__ that says \"" + fault + "\"",
                     "shape, typestr and data as of version 3", "Pass a DLPack tensor instead");
}

}  // namespace pvnet::python
