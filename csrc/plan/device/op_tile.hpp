// SPDX-License-Identifier: Apache-2.0
// Tiles of operations that are not on tensor cores, and what a tile of any operation costs.
#pragma once

#include "plan/device/program.hpp"

namespace pvnet::device {

// Sets tile_h, tile_w, tile_c; the bits of an output do not depend on them.
void cut_simple(pv_op& op);

// Microseconds of a block that has a multiprocessor for itself: a model, for the order of tiles and
// for levelling waves.
double tile_cost(const pv_op& op, pv_dtype dtype);

}  // namespace pvnet::device
