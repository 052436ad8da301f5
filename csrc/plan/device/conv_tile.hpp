// SPDX-License-Identifier: Apache-2.0
// How a convolution is cut for tensor cores: its tiles, its patches in shared memory, its splits.
#pragma once

#include "kernels/conv/shared_bytes.h"
#include "plan/device/program.hpp"

namespace pvnet::device {

// Shared memory of a block that every device gives unasked, less what kernels declare themselves.
constexpr int kSharedBytes = 47 * 1024;

// Sets the fields of `op` from tile_h on, of a convolution whose shape and n_patches are set. False
// where no tile fits shared memory. narrow_bytes: of a pixel where the window's row is folded into
// k; 0: it is not.
bool cut_conv(pv_op& op, int narrow_bytes);

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
// Rectangles of an operation's map, and its blocks of channels.
inline int64_t rectangles(const pv_op& op) {
  return ceil_div(op.out_h, op.tile_h) * ceil_div(op.out_w, op.tile_w);
}
inline int64_t channel_blocks(const pv_op& op) { return ceil_div(op.out_c, op.tile_c); }

}  // namespace pvnet::device
