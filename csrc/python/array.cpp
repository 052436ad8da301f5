// SPDX-License-Identifier: Apache-2.0
// Three ways in, fastest first: the C exchange table of the tensor's type (no allocation), the
// buffer protocol (numpy, read-only arrays included), `__dlpack__` capsules (everything else).
#include "python/array.hpp"

#include <pybind11/numpy.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "python/dlpack.hpp"

namespace pvnet::python {

namespace py = pybind11;

namespace {

std::string list_string(std::span<const int64_t> sizes) {
  std::string s = "[";
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (i > 0) s += ", ";
    s += sizes[i] < 0 ? "any" : std::to_string(sizes[i]);
  }
  return s + "]";
}

std::string type_name(py::handle obj) {
  return std::string("an object of type ") + Py_TYPE(obj.ptr())->tp_name;
}

Status not_exportable(std::string_view where, py::handle obj) {
  return array_error(Code::invalid_argument, where, "this array cannot be read",
                     type_name(obj) + " that says \"" + take_python_error() + "\"",
                     "a dense array with memory on the CPU",
                     "Pass a plain tensor or array, e.g. tensor.detach().cpu()");
}

std::string device_string(int32_t type, int32_t id) {
  const std::string name =
      type == dlpack::kCuda ? "cuda:" : "DLPack device type " + std::to_string(type) + ", id ";
  return "device " + name + std::to_string(id);
}

Status wrong_device(std::string_view where, const std::string& got, const BorrowFrom& from) {
  if (!from.cuda) {
    return array_error(Code::unsupported, where, "wrong device", got, "device cpu", from.cure);
  }
  const std::string own = device_string(dlpack::kCuda, from.cuda->id);
  return array_error(Code::unsupported, where, "wrong device", got, own + " or cpu",
                     "Move the array to " + own +
                         ", e.g. tensor.to(\"cuda:" + std::to_string(from.cuda->id) + "\")");
}

Status check_device(dlpack::Device device, std::string_view where, const BorrowFrom& from) {
  if (device.type == dlpack::kCpu || device.type == dlpack::kCudaHost) return {};
  if (from.cuda && device.type == dlpack::kCuda && device.id == from.cuda->id) return {};
  return wrong_device(where, device_string(device.type, device.id), from);
}

DType dtype_of(dlpack::DataType t) {
  struct Row {
    uint8_t code, bits;
    DType dtype;
  };
  static constexpr Row kTable[] = {{1, 8, DType::u8},   {0, 32, DType::i32},   {0, 64, DType::i64},
                                   {2, 16, DType::f16}, {4, 16, DType::bf16},  {2, 32, DType::f32},
                                   {2, 64, DType::f64}, {6, 8, DType::boolean}};
  for (const Row& row : kTable) {
    if (t.lanes == 1 && row.code == t.code && row.bits == t.bits) return row.dtype;
  }
  return DType::other;
}

// struct-module format of a buffer, native byte order only.
DType dtype_of(const char* format, Py_ssize_t itemsize) {
  if (format == nullptr) return itemsize == 1 ? DType::u8 : DType::other;
  if (*format == '@' || *format == '=') ++format;
  if (std::strlen(format) != 1) return DType::other;
  switch (*format) {
    case 'B':
      return DType::u8;
    case '?':
      return DType::boolean;
    case 'e':
      return DType::f16;
    case 'f':
      return DType::f32;
    case 'd':
      return DType::f64;
    case 'i':
    case 'l':
    case 'q':
      return itemsize == 8 ? DType::i64 : DType::i32;
    default:
      return DType::other;
  }
}

Status check_rank_limit(int rank, std::string_view where) {
  if (rank >= 0 && rank <= kMaxRank) return {};
  return array_error(Code::invalid_argument, where, "too many axes", "rank " + std::to_string(rank),
                     "a rank of at most " + std::to_string(kMaxRank), "Reshape the array");
}

Result<BorrowedArray> from_dlpack(const dlpack::Tensor& t, bool readonly, py::object owner,
                                  std::string_view where, const BorrowFrom& from) {
  PVNET_TRY(check_device(t.device, where, from));
  PVNET_TRY(check_rank_limit(t.ndim, where));
  BorrowedArray a;
  a.data = t.data == nullptr ? nullptr : static_cast<char*>(t.data) + t.byte_offset;
  a.dtype = dtype_of(t.dtype);
  a.rank = t.ndim;
  a.device_type = t.device.type;
  a.device_id = t.device.id;
  a.readonly = readonly;
  a.owner = std::move(owner);
  int64_t dense = 1;
  for (int i = a.rank; i-- > 0;) {
    a.shape[i] = t.shape[i];
    a.strides[i] = t.strides == nullptr ? dense : t.strides[i];
    dense *= t.shape[i];
  }
  PVNET_TRY(check_pointer(a, t.dtype.bits / 8, where));
  return a;
}

Result<BorrowedArray> from_buffer(py::handle obj, std::string_view where) {
  py::object view = py::reinterpret_steal<py::object>(PyMemoryView_FromObject(obj.ptr()));
  if (!view) return not_exportable(where, obj);
  const Py_buffer& b = *PyMemoryView_GET_BUFFER(view.ptr());
  PVNET_TRY(check_rank_limit(b.ndim, where));
  BorrowedArray a;
  a.data = b.buf;
  a.dtype = dtype_of(b.format, b.itemsize);
  a.rank = b.ndim;
  a.readonly = b.readonly != 0;
  a.owner = std::move(view);
  for (int i = 0; i < a.rank; ++i) {
    if (b.itemsize == 0 || b.strides[i] % b.itemsize != 0 || b.suboffsets != nullptr) {
      return array_error(Code::invalid_argument, where, "elements do not lie on an even grid",
                         "a stride of " + std::to_string(b.strides[i]) + " bytes",
                         "a multiple of the element size " + std::to_string(b.itemsize),
                         "Make a copy, e.g. numpy.ascontiguousarray(array)");
    }
    a.shape[i] = b.shape[i];
    a.strides[i] = b.strides[i] / b.itemsize;
  }
  PVNET_TRY(check_pointer(a, static_cast<size_t>(b.itemsize), where));
  return a;
}

// What lies elsewhere is refused before its exporter may copy or synchronise anything.
Result<dlpack::Device> dlpack_device(py::handle obj, std::string_view where,
                                     const BorrowFrom& from) {
  try {
    const auto pair = obj.attr("__dlpack_device__")().cast<std::pair<int32_t, int32_t>>();
    const dlpack::Device device{pair.first, pair.second};
    PVNET_TRY(check_device(device, where, from));
    return device;
  } catch (py::error_already_set& error) {
    error.restore();
    return not_exportable(where, obj);
  } catch (const py::cast_error&) {
    return wrong_device(where, "a __dlpack_device__ that is no pair of integers", from);
  }
}

Result<BorrowedArray> from_capsule(py::handle obj, std::string_view where, const BorrowFrom& from) {
  auto device = dlpack_device(obj, where, from);
  if (!device.ok()) return device.status();
  py::object capsule;
  try {
    const py::object method = obj.attr("__dlpack__");
    // Of a device: the exporter puts its work in front of ours, in this cuda_stream.
    py::dict order;
    if (device.value().type == dlpack::kCuda) order["stream"] = from.cuda->stream;
    try {
      capsule = method(**order, py::arg("max_version") = py::make_tuple(1, 0));
    } catch (py::error_already_set& error) {  // an exporter older than DLPack 1.0
      if (!error.matches(PyExc_TypeError)) throw;
      capsule = method(**order);
    }
  } catch (py::error_already_set& error) {
    error.restore();
    return not_exportable(where, obj);
  }
  // The capsule keeps its name: it stays the owner and frees the tensor when we drop it.
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned") != 0) {
    const auto* m = static_cast<const dlpack::ManagedVersioned*>(
        PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    if (m->version.major == dlpack::kMajorVersion) {
      return from_dlpack(m->tensor, (m->flags & dlpack::kFlagReadOnly) != 0, capsule, where, from);
    }
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor") != 0) {
    const auto* m =
        static_cast<const dlpack::Managed*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
    return from_dlpack(m->tensor, false, capsule, where, from);
  }
  return array_error(Code::unsupported, where, "unknown kind of DLPack capsule", type_name(obj),
                     "an exporter of DLPack 0.x or 1.x", "Pass a numpy array instead");
}

// torch keeps some views as a mark on the tensor (z.conj(), z.conj().imag): what lies in memory is
// not what the tensor says, and its exchange table does not tell.
Status check_no_lazy_view(py::handle obj, std::string_view where) {
  struct Mark {
    PyObject* name;
    const char *what, *cure;
  };
  static const Mark kMarks[] = {
      {PyUnicode_InternFromString("is_neg"), "a tensor that is negated lazily",
       "Pass tensor.resolve_neg()"},
      {PyUnicode_InternFromString("is_conj"), "a tensor that is conjugated lazily",
       "Pass tensor.resolve_conj()"},
      {PyUnicode_InternFromString("_is_zerotensor"), "a tensor of zeros without memory",
       "Pass tensor.clone()"}};
  for (const Mark& mark : kMarks) {
    const py::object yes =
        py::reinterpret_steal<py::object>(PyObject_CallMethodNoArgs(obj.ptr(), mark.name));
    if (!yes) {
      PyErr_Clear();  // no torch tensor: it has no such marks
      return {};
    }
    if (PyObject_IsTrue(yes.ptr()) == 1) {
      return array_error(Code::invalid_argument, where, "the memory is not what the tensor says",
                         mark.what, "a tensor whose values lie in memory", mark.cure);
    }
    PyErr_Clear();
  }
  return {};
}

// The exchange table of obj's type, or nullptr.
const dlpack::ExchangeApi* exchange_api(py::handle obj) {
  static PyObject* const name = PyUnicode_InternFromString("__dlpack_c_exchange_api__");
  // It is an attribute of the type by specification, which also passes by __getattr__ hooks.
  const py::object capsule = py::reinterpret_steal<py::object>(
      PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(obj.ptr())), name));
  if (!capsule) {
    PyErr_Clear();
    return nullptr;
  }
  if (PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api") == 0) return nullptr;
  const auto* api = static_cast<const dlpack::ExchangeApi*>(
      PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  const bool usable =
      api->version.major == dlpack::kMajorVersion && api->borrow_from_object != nullptr;
  return usable ? api : nullptr;
}

// The table says nothing of order: what the producer has enqueued so far is in its current stream.
Result<BorrowedArray> with_work_stream(const dlpack::ExchangeApi& api, py::handle obj,
                                       std::string_view where, Result<BorrowedArray>& array) {
  void* stream = nullptr;
  BorrowedArray a = std::move(array).value();
  if (api.current_work_stream == nullptr ||
      api.current_work_stream(a.device_type, a.device_id, &stream) != 0) {
    return not_exportable(where, obj);
  }
  a.work_stream = std::max<uintptr_t>(reinterpret_cast<uintptr_t>(stream), 1);  // 0: the default
  return a;
}

}  // namespace

Status array_error(Code code, std::string_view where, std::string_view what, std::string_view got,
                   std::string_view expected, std::string_view cure) {
  std::string m = "[";
  m.append(where).append("] ").append(what).append(": got ").append(got).append(", expected ");
  m.append(expected).append(". ").append(cure).append(".");
  return {code, std::move(m)};
}

std::string take_python_error() {
  const py::error_already_set error;
  const std::string text = py::str(error.value());
  return text.empty() ? "an exception without text" : text.substr(0, text.find('\n'));
}

Status check_pointer(const BorrowedArray& a, size_t element_bytes, std::string_view where) {
  if (a.data == nullptr && a.numel() != 0) {
    return array_error(
        Code::invalid_argument, where, "the array has no memory",
        "a NULL pointer for shape " + a.shape_string(), "readable memory",
        "Fake and meta tensors hold no data: pass a real tensor, or use torch.ops.pvnet");
  }
  if (element_bytes != 0 && reinterpret_cast<uintptr_t>(a.data) % element_bytes != 0 &&
      a.dtype != DType::other) {
    return array_error(Code::invalid_argument, where, "misaligned memory",
                       "an address that is no multiple of the element size",
                       "a multiple of " + std::to_string(element_bytes),
                       "Make a copy, e.g. array.copy()");
  }
  return {};
}

const char* to_string(DType dtype) {
  static constexpr const char* kNames[] = {"uint8",   "int32",    "int64",
                                           "float16", "bfloat16", "float32",
                                           "float64", "bool",     "another dtype"};
  return kNames[static_cast<int>(dtype)];
}

bool BorrowedArray::on_device() const { return device_type == dlpack::kCuda; }

int64_t BorrowedArray::numel() const {
  int64_t n = 1;
  for (int i = 0; i < rank; ++i) n *= shape[i];
  return n;
}

bool BorrowedArray::contiguous() const {
  int64_t dense = 1;
  for (int i = rank; i-- > 0;) {
    if (shape[i] != 1 && strides[i] != dense) return false;
    dense *= shape[i];
  }
  return true;
}

std::string BorrowedArray::shape_string() const {
  return list_string({shape, static_cast<size_t>(rank)});
}

Result<BorrowedArray> borrow(py::handle obj, std::string_view where, const BorrowFrom& from) {
  // To look for a table that numpy does not have costs more than all the rest.
  if (py::isinstance<py::array>(obj)) return from_buffer(obj, where);
  if (const dlpack::ExchangeApi* api = exchange_api(obj)) {
    PVNET_TRY(check_no_lazy_view(obj, where));
    dlpack::Tensor t{};
    if (api->borrow_from_object(obj.ptr(), &t) != 0) return not_exportable(where, obj);
    auto array = from_dlpack(t, false, py::reinterpret_borrow<py::object>(obj), where, from);
    if (array.ok() && array.value().on_device()) return with_work_stream(*api, obj, where, array);
    return array;
  }
  if (PyObject_CheckBuffer(obj.ptr()) != 0) return from_buffer(obj, where);
  if (py::hasattr(obj, "__dlpack__")) {
    PVNET_TRY(check_no_lazy_view(obj, where));
    return from_capsule(obj, where, from);
  }
  if (py::hasattr(obj, "__cuda_array_interface__")) {
    if (!from.cuda) return wrong_device(where, "a CUDA array", from);
    return borrow_cuda_interface(obj, where, *from.cuda);
  }
  return array_error(Code::invalid_argument, where, "not an array", type_name(obj),
                     "a numpy array, a torch tensor or another DLPack tensor",
                     "Convert it, e.g. with numpy.asarray(value)");
}

Status expect_dtype(const BorrowedArray& a, DType dtype, std::string_view where) {
  if (a.dtype == dtype) return {};
  return array_error(Code::invalid_argument, where, "wrong dtype", to_string(a.dtype),
                     to_string(dtype),
                     std::string("Convert the array to ") + to_string(dtype) + " first");
}

Status expect_rank(const BorrowedArray& a, int rank, std::string_view where) {
  if (a.rank == rank) return {};
  return array_error(Code::invalid_argument, where, "wrong number of axes",
                     "shape " + a.shape_string() + " of rank " + std::to_string(a.rank),
                     "rank " + std::to_string(rank), "Add or remove axes, e.g. with array[None]");
}

Status expect_shape(const BorrowedArray& a, std::initializer_list<int64_t> shape,
                    std::string_view where) {
  PVNET_TRY(expect_rank(a, static_cast<int>(shape.size()), where));
  bool fits = true;
  for (int i = 0; i < a.rank; ++i) {
    const int64_t want = shape.begin()[i];
    fits = fits && a.shape[i] > 0 && (want < 0 || a.shape[i] == want);
  }
  if (fits) return {};
  return array_error(Code::invalid_argument, where, "wrong shape", "shape " + a.shape_string(),
                     "shape " + list_string({shape.begin(), shape.size()}) + " with no empty axis",
                     "Reshape, resize or crop the array");
}

Status expect_writable(const BorrowedArray& a, std::string_view where) {
  if (!a.readonly) return {};
  return array_error(Code::invalid_argument, where, "the array is written to", "a read-only array",
                     "a writable array", "Pass a copy");
}

}  // namespace pvnet::python
