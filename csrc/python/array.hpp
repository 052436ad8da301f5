// SPDX-License-Identifier: Apache-2.0
// The tensor border: any array of Python (torch, numpy, everything with a buffer or `__dlpack__`)
// as a pointer, a shape and strides, without a copy and without including torch or numpy. Arrays
// lie on the CPU, or where a call says so on a CUDA device.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "graph/status.hpp"

namespace pvnet::python {

constexpr int kMaxRank = 8;

enum class DType : uint8_t { u8, i32, i64, f16, bf16, f32, f64, boolean, other };
const char* to_string(DType dtype);

// A borrowed array. Memory belongs to the producer; `owner` keeps it alive. Move it freely, but
// create and destroy it with the GIL held; in between, data may be used without the GIL.
struct BorrowedArray {
  void* data = nullptr;  // first element; nullptr only when the array has no elements
  DType dtype = DType::other;
  int rank = 0;
  int64_t shape[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};  // in elements, any sign; 0 where an axis is broadcast
  int32_t device_type = 1;         // DLPack's numbers: 1 = cpu, 2 = cuda, 3 = pinned cpu memory
  int32_t device_id = 0;
  bool readonly = false;
  // On a device: behind what this cuda_stream has been given, the memory is what the array says.
  // None: it is so in the order of CudaDevice::stream.
  std::optional<uintptr_t> work_stream;
  pybind11::object owner;

  bool on_device() const;

  int64_t numel() const;
  bool contiguous() const;           // row-major without gaps; axes of size 1 may have any stride
  std::string shape_string() const;  // "[2, 3, 224, 224]"
};

// The device on which arrays may lie, too, and the cuda_stream in whose order they are wanted.
struct CudaDevice {
  int32_t id = 0;
  uintptr_t stream = 0;
};
struct BorrowFrom {
  std::optional<CudaDevice> cuda;
  std::string_view cure = "Move the array to the CPU, e.g. tensor.cpu()";  // where it is refused
};

// Borrows `obj`. `where` names the call and the argument in messages, e.g. "stream.tick: frame".
// Fails on: what is no array, another device than `from` says, a rank above kMaxRank, strides that
// are no multiple of the element size, a NULL pointer with elements (a FakeTensor).
Result<BorrowedArray> borrow(pybind11::handle obj, std::string_view where,
                             const BorrowFrom& from = {});
// cuda_interface.cpp: what has `__cuda_array_interface__` and no DLPack.
Result<BorrowedArray> borrow_cuda_interface(pybind11::handle obj, std::string_view where,
                                            const CudaDevice& device);

// "[where] what: got ..., expected .... cure."
Status array_error(Code code, std::string_view where, std::string_view what, std::string_view got,
                   std::string_view expected, std::string_view cure);
// Memory and alignment of a borrowed array.
Status check_pointer(const BorrowedArray& a, size_t element_bytes, std::string_view where);
// The first line of the pending Python exception, which is cleared.
std::string take_python_error();

// Checks of a borrowed array; each fails with a message that names `where`.
Status expect_dtype(const BorrowedArray& a, DType dtype, std::string_view where);
Status expect_rank(const BorrowedArray& a, int rank, std::string_view where);
// -1 = any size of at least 1. Zero-size axes are always refused.
Status expect_shape(const BorrowedArray& a, std::initializer_list<int64_t> shape,
                    std::string_view where);
Status expect_writable(const BorrowedArray& a, std::string_view where);

}  // namespace pvnet::python
