// SPDX-License-Identifier: Apache-2.0
// The kernels of all dtypes, and their addresses for launches.
#include "tick.cuh"

namespace {

template <pv_dtype D>
const void* kernel_of(int kernel) {
  if (kernel == 0) return reinterpret_cast<const void*>(&pv::begin<pv::storage<D>>);
  if (kernel == 1) return reinterpret_cast<const void*>(&pv::tiles<D>);
  if (kernel == 2) return reinterpret_cast<const void*>(&pv::end<pv::storage<D>>);
  if (kernel == 3) return reinterpret_cast<const void*>(&pv::plain_tiles<pv::storage<D>>);
  if (kernel == 4) return reinterpret_cast<const void*>(&pv::rare_tiles<pv::storage<D>>);
  return nullptr;
}

}  // namespace

// kernel: 0 begin, 1 tiles, 2 end, 3 plain_tiles, 4 rare_tiles; dtype: pv_dtype. Null where there
// is none.
extern "C" const void* pv_kernel(int kernel, int dtype) {
  switch (dtype) {
    case PV_F32:
      return kernel_of<PV_F32>(kernel);
    case PV_TF32:
      return kernel_of<PV_TF32>(kernel);
    case PV_F16:
      return kernel_of<PV_F16>(kernel);
    case PV_BF16:
      return kernel_of<PV_BF16>(kernel);
    default:
      return nullptr;
  }
}
