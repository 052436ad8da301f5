// SPDX-License-Identifier: Apache-2.0
// How maps lie for kernels of kernels/: no halo, whole pieces of 16 bytes a pixel. Lanes, tiles and
// costs of the host's schedule are of no use there: launches are cut in plan/device/.
#pragma once

#include <array>

#include "backends/kernel_api.hpp"
#include "backends/layout.hpp"

namespace pvnet {

inline constexpr std::array<Dtype, 4> kDeviceDtypes = {Dtype::f32, Dtype::tf32, Dtype::f16,
                                                       Dtype::bf16};

// A convolution that folds a row of its window into k reads whole pieces of 16 bytes, too: of a
// dtype of two bytes a piece is two pixels.
constexpr bool folds_rows(const ConvShape& c, Dtype dtype) {
  return c.groups == 1 && (c.dw == 1 || c.kw == 1) &&
         (element_bytes(dtype) == 4 || c.sw % 2 == 0 || c.out_w == 1);
}

inline constexpr Layout kDeviceLayout{
    .halo = false,
    .wide_channels = 1,
    .pixel_granule = 16,
    .slot_granule = 128,
    .dtypes = kDeviceDtypes,
    .reads_narrow = folds_rows,
    .tiles = [](const HostKernels*, Op, const ConvShape&, const Shape&) { return 1; },
    .cost = [](const HostKernels*, const std::vector<Node>& nodes, int n,
               const ConvShape&) { return nodes[static_cast<size_t>(n)].cost; },
    .most_lanes = [] { return 1; },
};

// Kernels of one thread an output alone: the oracle of the others.
constexpr bool is_plain_isa(std::string_view isa) { return isa == "plain" || isa == "shim-plain"; }

}  // namespace pvnet
