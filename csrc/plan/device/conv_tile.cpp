// SPDX-License-Identifier: Apache-2.0
#include "plan/device/conv_tile.hpp"

#include <algorithm>

#include "graph/size.hpp"

namespace pvnet::device {
namespace {

// A split pays where few blocks have a long way each; the figures are of one device, so that
// splits, which decide about bits, depend on the shape alone.
constexpr int64_t kStepsOfSplit = 48;
constexpr int64_t kEnoughTiles = 132;

constexpr int round_up(int64_t n, int64_t to) { return static_cast<int>((n + to - 1) / to * to); }

bool magic_holds(const pv_op& op) {
  for (int i = 0; i < op.patch_h * op.patch_w; ++i) {
    if ((i * op.patch_w_magic) >> 16 != i / op.patch_w) return false;
  }
  return true;
}

// Of a tile of h x w pixels; false where it has no room.
bool set_patch(pv_op& op, int h, int w, bool folded) {
  op.tile_h = h, op.tile_w = w;
  const int64_t window = folded ? int64_t{op.steps_per_row} * PV_K_BYTES / op.pixel_bytes
                                : (int64_t{op.kw} - 1) * op.dw + 1;
  const int64_t ph = (int64_t{h} - 1) * op.sh + (int64_t{op.kh} - 1) * op.dh + 1;
  int64_t pw = (int64_t{w} - 1) * op.sw + window;
  if (op.pixel_bytes == 8) pw += pw % 2;  // rows of a patch begin at 16 bytes
  if (ph > kSharedBytes || pw > kSharedBytes || ph * pw * op.pixel_bytes > kSharedBytes)
    return false;
  op.patch_h = static_cast<int>(ph), op.patch_w = static_cast<int>(pw);
  op.patch_w_magic = (65536 + op.patch_w - 1) / op.patch_w;
  op.patch_bytes = round_up(ph * pw * op.pixel_bytes, 128);
  return pv_conv_shared_bytes(&op) <= kSharedBytes;
}

// What a tile costs: the products of all its pixels, used or not, and the copy of its patch.
double waste(const pv_op& op) {
  const double patch = static_cast<double>(op.patch_h) * op.patch_w;
  return static_cast<double>(rectangles(op)) * (PV_TILE_M + 0.25 * patch);
}

void set_splits(pv_op& op) {
  const int64_t tiles = rectangles(op) * channel_blocks(op);
  const int64_t steps = int64_t{op.n_patches} * op.steps_per_patch;
  const int64_t wanted = std::min(ceil_div(steps, kStepsOfSplit), ceil_div(kEnoughTiles, tiles));
  const int64_t splits = std::clamp<int64_t>(wanted, 1, op.n_patches);
  const int64_t share = ceil_div(op.n_patches, splits);
  op.splits = static_cast<int>(ceil_div(op.n_patches, share));  // none without a patch
}

}  // namespace

bool cut_conv(pv_op& op, int narrow_bytes) {
  const bool folded = narrow_bytes > 0;
  op.tile_c = PV_TILE_N;
  op.splits = 1;
  op.pixel_bytes = folded ? narrow_bytes : PV_K_BYTES;
  const int64_t per_row = folded ? ceil_div(int64_t{op.kw} * narrow_bytes, PV_K_BYTES) : op.kw;
  op.steps_per_row = static_cast<int>(per_row);
  op.steps_per_patch = static_cast<int>(op.kh * per_row);
  op.patch_buffers = 1 + (PV_WEIGHT_STAGES - 2 + op.steps_per_patch) / op.steps_per_patch;
  pv_op best = {};
  for (int h = 1; h <= std::min<int>(PV_TILE_M, op.out_h); ++h) {
    for (int w = 1; w <= std::min<int>(PV_TILE_M / h, op.out_w); ++w) {
      if (!set_patch(op, h, w, folded)) break;  // wider ones have no room either
      if (best.tile_h == 0 || waste(op) < waste(best)) {
        if (magic_holds(op)) best = op;
      }
    }
  }
  if (best.tile_h == 0) return false;
  op = best;
  set_splits(op);
  return true;
}

}  // namespace pvnet::device
