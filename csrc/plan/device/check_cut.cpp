// SPDX-License-Identifier: Apache-2.0
// How convolutions are cut for tensor cores.
#include <algorithm>

#include "backends/backend.hpp"
#include "kernels/conv/shared_bytes.h"
#include "plan/device/checks.hpp"
#include "plan/op_params.hpp"

namespace pvnet::device {
namespace {

constexpr int64_t kRoom = 47 * 1024;  // of a block's shared memory
constexpr int64_t kGroupOps = 8;

int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
int64_t times(int64_t n, int64_t of) { return (n + of - 1) / of; }

// Pixels of few channels lie side by side in k; of 2 bytes an element, two of them are copied at
// once, so that neighbours in the output must be an even number of pixels apart.
bool folds(const ConvShape& c, const PlanOp& of, int64_t element) {
  const bool few = std::all_of(of.operands[0].begin(), of.operands[0].end(),
                               [](const Segment& s) { return s.c <= 4; });
  const bool steps = element == 4 || c.out_w == 1 || c.sw % 2 == 0;
  return few && steps && c.groups == 1 && (c.kw == 1 || c.dw == 1);
}

struct Cut {
  int64_t pixel_bytes, steps_per_row, steps_per_patch, patch_h, patch_w, patch_bytes, buffers;
};
Cut cut_of(const ConvShape& c, bool folded, int64_t element, int64_t tile_h, int64_t tile_w) {
  Cut r{};
  r.pixel_bytes = folded ? 4 * element : int64_t{PV_K_BYTES};
  r.steps_per_row = folded ? times(c.kw * r.pixel_bytes, PV_K_BYTES) : c.kw;
  r.steps_per_patch = r.steps_per_row * c.kh;
  r.patch_h = tile_h * c.sh - c.sh + int64_t{c.kh} * c.dh - c.dh + 1;
  r.patch_w =
      tile_w * c.sw - c.sw +
      (folded ? r.steps_per_row * (PV_K_BYTES / r.pixel_bytes) : int64_t{c.kw} * c.dw - c.dw + 1);
  if (r.pixel_bytes == 8) r.patch_w = up(r.patch_w, 2);
  r.patch_bytes = up(r.patch_h * r.patch_w * r.pixel_bytes, 128);
  r.buffers = 1 + times(PV_WEIGHT_STAGES - 1, r.steps_per_patch);
  return r;
}

int64_t patches_of(const PlanOp& of, int64_t most, int lo, int hi) {
  int64_t patches = 0;
  int at = 0;
  for (const Segment& s : of.operands[0]) {
    const int channels = std::min(hi, at + s.c) - std::max(lo, at);
    if (channels > 0) patches += times(channels, most) * of.taps;
    at += s.c;
  }
  return patches;
}

// Channels of a group begin at whole 16 bytes of each map that they lie in.
bool aligned(const PlanOp& of, int lo, int hi, int64_t element) {
  int at = 0;
  for (const Segment& s : of.operands[0]) {
    const int first = std::max(lo, at) - at;
    if (first < std::min(hi, at + s.c) - at && first * element % 16 != 0) return false;
    at += s.c;
  }
  return true;
}

}  // namespace

bool fits_tensor_cores(const Plan& plan, const PlanOp& of) {
  const ConvShape& c = of.params->conv;
  const int64_t element = element_bytes(plan.values[static_cast<size_t>(of.out_value)].dtype);
  if (c.groups > kGroupOps) return false;
  const bool folded = folds(c, of, element);
  const int per_group = c.in_c / c.groups;
  const Cut one = cut_of(c, folded, element, 1, 1);  // larger tiles take more room
  for (int lo = 0; lo < c.in_c; lo += per_group) {
    const int64_t n = patches_of(of, folded ? 4 : PV_K_BYTES / element, lo, lo + per_group);
    const int64_t bytes = int64_t{PV_WEIGHT_STAGES} * PV_TILE_N * PV_K_BYTES +
                          one.buffers * one.patch_bytes + n * int64_t{sizeof(pv_patch_place)};
    if (n > PV_MAX_PATCHES || bytes > kRoom || !aligned(of, lo, lo + per_group, element))
      return false;
  }
  return true;
}

Status check_cut(const Plan& plan, const pv_op& op, const PlanOp& of, int lo, ReadsCheck& reads) {
  const ConvShape& c = of.params->conv;
  const int64_t element = element_bytes(plan.values[static_cast<size_t>(op.out_value)].dtype);
  const bool folded = folds(c, of, element);
  for (const Segment& s : of.operands[0]) {
    const Value& v = plan.values[static_cast<size_t>(s.value)];
    if (v.pixel_stride * element % (folded ? 4 * element : 16) == 0) continue;
    return wrong("pixel of a map that a convolution reads", v.pixel_stride, 16 / element);
  }
  if (op.tile_h < 1 || op.tile_w < 1 || op.tile_h > op.out_h || op.tile_w > op.out_w ||
      int64_t{op.tile_h} * op.tile_w > PV_TILE_M || op.tile_c != PV_TILE_N) {
    return wrong("tile of a convolution", int64_t{op.tile_h} * op.tile_w, PV_TILE_M);
  }
  const Cut cut = cut_of(c, folded, element, op.tile_h, op.tile_w);
  if (op.pixel_bytes != cut.pixel_bytes || op.steps_per_row != cut.steps_per_row ||
      op.steps_per_patch != cut.steps_per_patch || op.patch_h != cut.patch_h ||
      op.patch_w != cut.patch_w || op.patch_bytes != cut.patch_bytes ||
      op.patch_buffers != cut.buffers) {
    return wrong("patches of a convolution", "of another form", "that of its window and tile");
  }
  if (op.patch_w_magic != times(65536, op.patch_w)) {
    return wrong("magic number of a patch", op.patch_w_magic, times(65536, op.patch_w));
  }
  for (int64_t i = 0; i < cut.patch_h * cut.patch_w; ++i) {
    if ((i * op.patch_w_magic) >> 16 == i / op.patch_w) continue;
    return wrong("magic number of a patch", op.patch_w_magic, op.patch_w);
  }
  PVNET_TRY(reads.patches(op, of, lo, folded));
  if (op.n_patches > PV_MAX_PATCHES) return wrong("patches", op.n_patches, PV_MAX_PATCHES);
  // Every split has a patch.
  if (op.splits < 1 || op.splits > op.n_patches ||
      (op.splits - 1) * times(op.n_patches, op.splits) >= op.n_patches) {
    return wrong("splits of a convolution", op.splits, op.n_patches);
  }
  if (pv_conv_shared_bytes(&op) <= kRoom) return {};
  return wrong("shared memory of a convolution", pv_conv_shared_bytes(&op), kRoom);
}

}  // namespace pvnet::device
