// SPDX-License-Identifier: Apache-2.0
// The reference backend's tables.
#include "backends/ref/ops.hpp"

namespace pvnet {

namespace {

template <class T>
constexpr HostKernels table_of(Dtype dtype) {
  return {
      .name = "ref",
      .isa = "scalar",
      .conv_packed_floats = ref::conv_packed_floats,
      .conv_pack = ref::conv_pack<T>,
      .conv_tiles = ref::conv_tiles,
      .conv_scratch_floats = ref::conv_scratch_floats,
      .conv_cost = ref::conv_cost,
      .conv = ref::conv<T>,
      .pool = ref::pool<T>,
      .eltwise = ref::eltwise<T>,
      .upsample = ref::upsample<T>,
      .global_pool = ref::global_pool<T>,
      .affine = ref::affine<T>,
      .softmax = ref::softmax<T>,
      .load_u8 = ref::load_u8<T>,
      .load_f32 = ref::load_f32<T>,
      .store_f32 = ref::store_f32<T>,
      .fma_block = ref::fma_block,
      .move = ref::move<T>,
      .group_norm = ref::group_norm<T>,
      .layer_norm = ref::layer_norm<T>,
      .dtype = dtype,
  };
}

}  // namespace

const HostKernels& ref_kernels(Dtype dtype) {
  static constexpr HostKernels kTable = table_of<float>(Dtype::f32);
  static constexpr HostKernels kBf16 = table_of<Bf16>(Dtype::bf16);
  static constexpr HostKernels kInt8 = table_of<ref::AnyElement>(Dtype::int8);
  return dtype == Dtype::bf16 ? kBf16 : dtype == Dtype::int8 ? kInt8 : kTable;
}

}  // namespace pvnet
