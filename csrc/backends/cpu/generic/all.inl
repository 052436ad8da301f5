// SPDX-License-Identifier: Apache-2.0
// Every kernel, in order of use, and the table of them.
// clang-format off: each file uses the ones before it
#include "backends/cpu/generic/math.inl"
#include "backends/cpu/generic/fetch.inl"
#include "backends/cpu/generic/activation.inl"
#include "backends/cpu/generic/element_f32.inl"
#include "backends/cpu/generic/residual.inl"
#include "backends/cpu/generic/conv_layout.inl"
#include "backends/cpu/generic/product.inl"
#include "backends/cpu/generic/conv_micro.inl"
#include "backends/cpu/generic/conv_narrow.inl"
#include "backends/cpu/generic/pixel_groups.inl"
#include "backends/cpu/generic/conv.inl"
#include "backends/cpu/generic/depthwise.inl"
#include "backends/cpu/generic/winograd_layout.inl"
#include "backends/cpu/generic/winograd_transform.inl"
#include "backends/cpu/generic/winograd_micro.inl"
#include "backends/cpu/generic/winograd.inl"
#include "backends/cpu/generic/conv_cost.inl"
#include "backends/cpu/generic/conv_table.inl"
#include "backends/cpu/generic/pool_columns.inl"
#include "backends/cpu/generic/pool.inl"
#include "backends/cpu/generic/eltwise.inl"
#include "backends/cpu/generic/upsample.inl"
#include "backends/cpu/generic/io.inl"
#include "backends/cpu/generic/planes.inl"
#include "backends/cpu/generic/peak.inl"
#include "backends/cpu/generic/move.inl"
#include "backends/cpu/generic/norm.inl"
// clang-format on

const HostKernels backend = {"cpu",     PVNET_ISA_NAME, conv_packed_floats,
                             conv_pack, conv_tiles,     conv_scratch_floats,
                             conv_cost, conv,           pool,
                             eltwise,   upsample,       global_pool,
                             affine,    softmax,        load_u8,
                             load_f32,  store_f32,      fma_block,
                             move,      group_norm,     layer_norm};
