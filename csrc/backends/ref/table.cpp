// SPDX-License-Identifier: Apache-2.0
// The reference backend's table.
#include "backends/ref/ops.hpp"

namespace pvnet {

const HostKernels& ref_kernels() {
  static constexpr HostKernels kTable{
      .name = "ref",
      .isa = "scalar",
      .conv_packed_floats = ref::conv_packed_floats,
      .conv_pack = ref::conv_pack,
      .conv_tiles = ref::conv_tiles,
      .conv_scratch_floats = ref::conv_scratch_floats,
      .conv_cost = ref::conv_cost,
      .conv = ref::conv,
      .pool = ref::pool,
      .eltwise = ref::eltwise,
      .upsample = ref::upsample,
      .global_pool = ref::global_pool,
      .affine = ref::affine,
      .softmax = ref::softmax,
      .load_u8 = ref::load_u8,
      .load_f32 = ref::load_f32,
      .store_f32 = ref::store_f32,
      .fma_block = ref::fma_block,
      .move = ref::move,
      .group_norm = ref::group_norm,
      .layer_norm = ref::layer_norm,
  };
  return kTable;
}

}  // namespace pvnet
