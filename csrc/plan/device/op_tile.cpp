// SPDX-License-Identifier: Apache-2.0
#include "plan/device/op_tile.hpp"

#include <algorithm>

namespace pvnet::device {
namespace {

constexpr int64_t kMostOutputs = int64_t{1} << 24;  // of a tile
constexpr int kGroup = 8;                           // channels that a thread has at once

// A run of channels and as many pixels, row by row, as `outputs` allow.
void cut(pv_op& op, int64_t outputs, int most_channels) {
  op.tile_c = std::min(op.out_c, most_channels);
  const int64_t pixels = std::max<int64_t>(1, outputs / op.tile_c);
  op.tile_w = static_cast<int>(std::min<int64_t>(op.out_w, pixels));
  op.tile_h = static_cast<int>(std::clamp<int64_t>(pixels / op.tile_w, 1, op.out_h));
}

// Elements that an output of the operation is made of.
double window_of(const pv_op& op) {
  const double window = static_cast<double>(op.kt) * op.kh * op.kw;
  switch (op.kind) {
    case PV_CONV:
      return window * op.in_c / op.groups;
    case PV_DEPTHWISE:
    case PV_POOL:
      return window;
    case PV_GLOBAL_POOL:
      return window * op.in_h * op.in_w;
    case PV_SOFTMAX:
    case PV_GROUP_NORM:
    case PV_LAYER_NORM:
      return 3;
    case PV_UPSAMPLE:
      return op.variant == PV_NEAREST ? 1 : 4;
    default:
      return 2;
  }
}

}  // namespace

void cut_simple(pv_op& op) {
  switch (op.kind) {
    case PV_CONV:
      return cut(op, 4 * PV_THREADS, 64);
    case PV_DEPTHWISE:
    case PV_POOL:
      return cut(op, PV_THREADS * kGroup, 512);
    case PV_GLOBAL_POOL:
      return cut(op, 32, 32);  // channels that a block adds side by side
    case PV_GROUP_NORM:        // a group: what its moments are made of
      return cut(op, kMostOutputs, op.out_c / op.groups);
    case PV_LAYER_NORM:
    case PV_SOFTMAX:
      return cut(op, std::max<int64_t>(16 * int64_t{op.out_c}, 1), op.out_c);  // all of a pixel
    default:
      return cut(op, 4 * PV_THREADS * kGroup, 1024);
  }
}

double tile_cost(const pv_op& op, pv_dtype dtype) {
  constexpr double kStart = 0.5;        // us of a block, whatever it does
  constexpr double kStep = 0.093;       // us: 64 x 64 products of 64 bytes of k
  constexpr double kElementsUs = 12e3;  // elements read in a us
  constexpr double kProductsUs = 35e3;  // of simple kernels
  if (op.kind == PV_CONV && op.plain == 0) {
    const double steps = static_cast<double>(op.n_patches) * op.steps_per_patch / op.splits;
    return kStart + steps * kStep * (dtype == PV_F32 ? 3 : 1);
  }
  const double outputs = static_cast<double>(op.tile_h) * op.tile_w * op.tile_c;
  const double read = outputs * window_of(op);
  return kStart + read / (op.kind == PV_CONV || op.plain != 0 ? kProductsUs : kElementsUs);
}

}  // namespace pvnet::device
