// SPDX-License-Identifier: Apache-2.0
// Every kernel of plans over 8 bits, in order of use, and the table of them.
#pragma GCC diagnostic ignored "-Wunused-function"
// clang-format off: each file uses the ones before it
#include "backends/cpu/generic/math.inl"
#include "backends/cpu/generic/activation.inl"
#include "backends/cpu/generic/element_int8.inl"
#include "backends/cpu/generic/conv_layout.inl"
#include "backends/cpu/generic/quad_layout.inl"
#include "backends/cpu/generic/quad_end.inl"
#include "backends/cpu/generic/quad_micro.inl"
#ifdef PVNET_DOT_BYTES
#include "backends/cpu/generic/quad_narrow.inl"
#endif
#include "backends/cpu/generic/pixel_groups.inl"
#include "backends/cpu/generic/quad_conv.inl"
#include "backends/cpu/generic/quad_depthwise.inl"
#ifdef PVNET_DOT_DEPTHWISE
#include "backends/cpu/depthwise_vnni.inl"
#endif
#include "backends/cpu/generic/quad_table.inl"
#include "backends/cpu/generic/pool_int8.inl"
#include "backends/cpu/generic/eltwise.inl"
#include "backends/cpu/generic/upsample.inl"
#include "backends/cpu/generic/io_int8.inl"
#include "backends/cpu/generic/planes.inl"
#include "backends/cpu/generic/peak.inl"
#include "backends/cpu/generic/move.inl"
#include "backends/cpu/generic/norm.inl"
// clang-format on

const HostKernels backend = {"cpu",      PVNET_ISA_NAME, conv_packed_floats,
                             conv_pack,  conv_tiles,     conv_scratch_floats,
                             conv_cost,  conv,           pool,
                             eltwise,    upsample,       global_pool,
                             affine,     softmax,        load_u8,
                             load_f32,   store_f32,      fma_block,
                             move,       group_norm,     layer_norm,
                             Dtype::int8};
