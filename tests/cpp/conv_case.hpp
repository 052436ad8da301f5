// SPDX-License-Identifier: Apache-2.0
// One convolution for a device, as a user would describe it: what it reads, its window, and how its
// tiles are cut. Random, by strata, so that a few hundred cases meet every combination that
// matters.
#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "kernels/conv/shared_bytes.h"
#include "kernels/program.h"

namespace pvnet::test {

struct CaseSegment {
  int channels;
  int before, after;  // channels of the value around them
  pvnet_device_clock clock;
  int64_t delay;
};

struct ConvCase {
  std::vector<CaseSegment> segments;
  int h, w;
  int out_c, out_before, out_after;
  pvnet_device_clock clock;  // of the convolution
  int kt, dt;                // taps, and firings from one to the next
  int kh, kw, sh, sw, ph, pw, dh, dw;
  pv_act act;
  int splits;
  bool folds;
  int tile_h = 0, tile_w = 0;

  int in_c() const {
    int sum = 0;
    for (const CaseSegment& s : segments) sum += s.channels;
    return sum;
  }
  int out_h() const { return (h + 2 * ph - (kh - 1) * dh - 1) / sh + 1; }
  int out_w() const { return (w + 2 * pw - (kw - 1) * dw - 1) / sw + 1; }
};

inline int round_up(int n, int to) { return (n + to - 1) / to * to; }

template <pv_dtype D>
constexpr int kElementBytes = D == PV_F16 || D == PV_BF16 ? 2 : 4;

class CaseMaker {
 public:
  explicit CaseMaker(uint64_t seed) : rng_(seed) {}
  std::mt19937_64& rng() { return rng_; }
  int pick(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(rng_); }

  // Case `number` of its dtype.
  template <pv_dtype D>
  ConvCase make(int number) {
    ConvCase c = {};
    const int granule = 16 / kElementBytes<D>;
    c.folds = number % 5 == 4;
    c.kt = 1 + number % 3;
    c.dt = pick(1, 2);
    c.splits = 1 + number / 3 % 4;
    c.act = static_cast<pv_act>(pick(0, 3));
    c.h = pick(5, 17), c.w = pick(5, 17);
    choose_window(c, granule);
    const int n_segments = c.folds ? pick(1, 2) : 1 + number / 2 % 4;
    for (int i = 0; i < n_segments; ++i) {
      const int channels = c.folds ? pick(1, 4) : pick(1, pick(1, 70));
      const bool inside = !c.folds && pick(0, 3) == 0;  // as a group of channels
      c.segments.push_back({channels,
                            inside ? granule * pick(0, 3) : 0,
                            inside ? pick(0, 9) : 0,
                            {pick(0, 3) == 0 ? 2 : 1, pick(0, 1)},
                            pick(0, 2)});
    }
    c.out_c = pick(0, 3) == 0 ? pick(65, 90) : pick(1, 64);
    c.out_before = pick(0, 1) == 0 ? 0 : pick(1, 9);
    c.out_after = pick(0, 3);
    c.clock = {pick(0, 3) == 0 ? 2 : 1, pick(0, 1)};
    choose_tile<D>(c);
    return c;
  }

  // In pixels of shared memory; 0: the tile has no room in a block.
  template <pv_dtype D>
  static int shared_bytes(const ConvCase& c, int tile_h, int tile_w) {
    pv_op op = {};
    set_patch<D>(c, tile_h, tile_w, op);
    op.n_patches = PV_MAX_PATCHES, op.splits = 1;
    const int bytes = pv_conv_shared_bytes(&op);
    return tile_h * tile_w <= PV_TILE_M && bytes <= 47 * 1024 ? bytes : 0;
  }

  // What of an op depends on its tile.
  template <pv_dtype D>
  static void set_patch(const ConvCase& c, int tile_h, int tile_w, pv_op& op) {
    op.tile_h = tile_h, op.tile_w = tile_w, op.tile_c = PV_TILE_N;
    op.pixel_bytes = c.folds ? 4 * kElementBytes<D> : PV_K_BYTES;
    op.steps_per_row = c.folds ? round_up(c.kw * op.pixel_bytes, PV_K_BYTES) / PV_K_BYTES : c.kw;
    const int window =
        c.folds ? op.steps_per_row * PV_K_BYTES / op.pixel_bytes : (c.kw - 1) * c.dw + 1;
    op.steps_per_patch = c.kh * op.steps_per_row;
    op.patch_h = (tile_h - 1) * c.sh + (c.kh - 1) * c.dh + 1;
    op.patch_w = (tile_w - 1) * c.sw + window;
    if (op.pixel_bytes == 8) op.patch_w = round_up(op.patch_w, 2);
    op.patch_w_magic = (65536 + op.patch_w - 1) / op.patch_w;
    op.patch_bytes = round_up(op.patch_h * op.patch_w * op.pixel_bytes, 128);
    op.patch_buffers = 1 + (PV_WEIGHT_STAGES - 2 + op.steps_per_patch) / op.steps_per_patch;
  }

 private:
  std::mt19937_64 rng_;

  void choose_window(ConvCase& c, int granule) {
    c.kh = pick(1, 7), c.kw = pick(0, 1) == 0 ? c.kh : pick(1, 7);
    c.sh = pick(1, 2), c.sw = pick(1, 2), c.dh = pick(1, 2), c.dw = pick(1, 2);
    if (c.kh * c.kw > 25) c.kt = std::min(c.kt, 2);
    if (c.folds) {
      c.dw = 1;
      if (granule == 8) c.sw = 2;  // rows of a fragment begin at 16 bytes
    }
    c.ph = pick(0, (c.kh - 1) * c.dh / 2), c.pw = pick(0, (c.kw - 1) * c.dw / 2);
    c.h = std::max(c.h, (c.kh - 1) * c.dh + 1 - 2 * c.ph);
    c.w = std::max(c.w, (c.kw - 1) * c.dw + 1 - 2 * c.pw);
  }

  // The rectangle that copies least, or any.
  template <pv_dtype D>
  void choose_tile(ConvCase& c) {
    const bool any = pick(0, 2) == 0;
    double best = 0;
    for (int th = 1; th <= c.out_h(); ++th) {
      for (int tw = 1; tw <= c.out_w(); ++tw) {
        if (shared_bytes<D>(c, th, tw) == 0) continue;
        const double tiles = ((c.out_h() + th - 1) / th) * ((c.out_w() + tw - 1) / tw);
        const double cost = any && th * tw >= 16 ? pick(1, 1000) : 1000 + tiles;
        if (c.tile_h == 0 || cost < best) best = cost, c.tile_h = th, c.tile_w = tw;
      }
    }
  }
};

}  // namespace pvnet::test
