// SPDX-License-Identifier: Apache-2.0
// The binary interface of DLPack 1.x as far as pvnet reads it: the tensor struct, its two owning
// wrappers (what a `__dlpack__` capsule holds) and the table behind `__dlpack_c_exchange_api__`.
// Field order and sizes follow the public specification (dmlc.github.io/dlpack); nothing else does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pvnet::python::dlpack {

constexpr uint32_t kMajorVersion = 1;
constexpr int32_t kCpu = 1;
constexpr int32_t kCuda = 2;
constexpr int32_t kCudaHost = 3;  // pinned memory, readable by the CPU
constexpr uint64_t kFlagReadOnly = 1;

struct Version {
  uint32_t major, minor;
};
struct Device {
  int32_t type, id;
};
struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; nullptr: contiguous (before 1.2)
  uint64_t byte_offset;
};
struct Managed {  // capsule "dltensor"
  Tensor tensor;
  void* manager_ctx;
  void (*deleter)(Managed*);
};
struct ManagedVersioned {  // capsule "dltensor_versioned"
  Version version;
  void* manager_ctx;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;
  Tensor tensor;
};
struct ExchangeApi {  // capsule "dlpack_exchange_api", an attribute of the tensor type
  Version version;
  void* prev_api;
  int (*allocate)(Tensor* prototype, ManagedVersioned** out, void* error_ctx,
                  void (*set_error)(void* error_ctx, const char* kind, const char* message));
  int (*managed_from_object)(void* object, ManagedVersioned** out);
  int (*object_from_managed)(ManagedVersioned* tensor, void** out_object);
  int (*borrow_from_object)(void* object, Tensor* out);  // may be nullptr
  int (*current_work_stream)(int32_t device_type, int32_t device_id, void** out_stream);
};

static_assert(sizeof(Tensor) == 48 && sizeof(Managed) == 64 && sizeof(ManagedVersioned) == 80 &&
                  sizeof(ExchangeApi) == 56,
              "the DLPack ABI as it is on 64-bit machines");

}  // namespace pvnet::python::dlpack
