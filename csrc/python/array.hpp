// SPDX-License-Identifier: Apache-2.0
// The tensor border: any CPU array of Python (torch, numpy, everything with a buffer or
// `__dlpack__`) as a pointer, a shape and strides, without a copy and without including torch or
// numpy.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>
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
  int32_t device_type = 1;         // DLPack's numbers: 1 = cpu, 3 = pinned cpu memory
  int32_t device_id = 0;
  bool readonly = false;
  pybind11::object owner;

  int64_t numel() const;
  bool contiguous() const;           // row-major without gaps; axes of size 1 may have any stride
  std::string shape_string() const;  // "[2, 3, 224, 224]"
};

// Borrows `obj`. `where` names the call and the argument in messages, e.g. "stream.tick: frame".
// Fails on: what is no array, another device than the CPU, a rank above kMaxRank, strides that are
// no multiple of the element size, a NULL pointer with elements (a FakeTensor).
Result<BorrowedArray> borrow(pybind11::handle obj, std::string_view where);

// Checks of a borrowed array; each fails with a message that names `where`.
Status expect_dtype(const BorrowedArray& a, DType dtype, std::string_view where);
Status expect_rank(const BorrowedArray& a, int rank, std::string_view where);
// -1 = any size of at least 1. Zero-size axes are always refused.
Status expect_shape(const BorrowedArray& a, std::initializer_list<int64_t> shape,
                    std::string_view where);
Status expect_writable(const BorrowedArray& a, std::string_view where);

}  // namespace pvnet::python
