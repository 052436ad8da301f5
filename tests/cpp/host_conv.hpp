// SPDX-License-Identifier: Apache-2.0
// A convolution of host kernels: random maps, weights and missing firings; every instruction set of
// the cpu backend against the reference, in pieces and in any order.
#pragma once

#include <algorithm>
#include <numeric>

#include "check.hpp"
#include "kernel_maps.hpp"

namespace pvnet::test {

struct ConvCase {
  ConvShape s;
  std::vector<int> seg_c;
  std::vector<float> weight, bias;
  std::vector<std::vector<Map>> frames;  // [segment][tap]
  std::vector<std::vector<const float*>> taps;
  std::vector<SegmentView> segs;
  int out_pad = 0;
  bool dense = false;          // maps without a halo beyond the padding, and without gaps
  int end_h = -1, end_w = -1;  // padding behind the map; -1: as before it
  double bound = 0;            // of the rounding error of an output before the activation
};

inline void fill_case(ConvCase& c) {
  ConvShape& s = c.s;
  s.in_c = std::accumulate(c.seg_c.begin(), c.seg_c.end(), 0);
  s.seg_c = c.seg_c.data();
  s.n_segs = static_cast<int>(c.seg_c.size());
  const int end_h = c.end_h < 0 ? s.ph : c.end_h, end_w = c.end_w < 0 ? s.pw : c.end_w;
  s.out_h = (s.in_h + s.ph + end_h - s.dh * (s.kh - 1) - 1) / s.sh + 1;
  s.out_w = (s.in_w + s.pw + end_w - s.dw * (s.kw - 1) - 1) / s.sw + 1;
  const int k = s.in_c / s.groups * s.kt * s.kh * s.kw;
  c.weight.resize(static_cast<size_t>(s.out_c) * k);
  c.bias.resize(s.out_c);
  for (float& w : c.weight) w = value();
  for (float& b : c.bias) b = value();
  for (const int n : c.seg_c) {
    const int pad = c.dense ? 0 : pick_of({0, 0, 1, 5, 16});
    const int hh = std::max(s.ph, end_h) + (c.dense ? 0 : pick(0, 1));
    const int hw = std::max(s.pw, end_w) + (c.dense ? 0 : pick(0, 1));
    std::vector<Map> maps;
    maps.push_back(make_input(s.in_h, s.in_w, n, hh, hw, pad));
    for (int t = 1; t < s.kt; ++t) {
      maps.push_back(maps[0]);
      for (int y = 0; y < s.in_h; ++y) {
        for (int x = 0; x < s.in_w; ++x) {
          for (int i = 0; i < n; ++i) maps[t].at(y, x)[i] = value();
        }
      }
    }
    c.frames.push_back(std::move(maps));
  }
  for (auto& maps : c.frames) {
    std::vector<const float*> taps;
    const int missing = pick(0, 3) == 0 ? pick(0, s.kt) : 0;  // the oldest are missing
    for (int t = 0; t < s.kt; ++t) taps.push_back(t < missing ? nullptr : maps[t].data());
    c.taps.push_back(taps);
  }
  for (size_t i = 0; i < c.frames.size(); ++i) {
    c.segs.push_back({c.frames[i][0].g, c.taps[i].data()});
  }
  // Two sums of k + 1 terms of at most 1, each within (k + 1) * unit * sum of the magnitudes. The
  // magnitudes average 1/4; 0.6 covers the spread of short sums. Activations have slope <= 1.1.
  c.bound = 2.2 * (k + 2) * kUnit * (0.6 * k + 3) + 1e-6;
}

// A layer with a few channels beyond whole vectors of any instruction set, and with input channels
// enough to be worth a sum of their own (generic/conv_narrow.inl).
inline ConvCase narrow_case(int i, ConvAlgorithm algorithm = ConvAlgorithm::direct) {
  ConvCase c;
  ConvShape& s = c.s;
  s.algorithm = algorithm;
  s.in_h = pick(1, 9);
  s.in_w = pick(1, 16);
  s.kt = pick_of({1, 1, 2});
  if (i % 3 == 0) {
    s.kh = pick_of({1, 3});
    s.kw = pick_of({1, 3});
    s.ph = s.kh / 2, s.pw = s.kw / 2;
    s.sh = pick(1, 2), s.sw = pick(1, 2);
  }
  s.act = i % 4 == 0 ? Act::sigmoid : i % 2 == 0 ? Act::relu : Act::none;
  s.out_c = pick_of({1, 2, 5, 9, 10, 17, 18, 33, 34, 49, 50});
  if (i % 7 == 6) {
    s.groups = 2, s.out_c *= 2;
    c.seg_c = {2 * pick_of({64, 70, 96})};
  } else {
    c.seg_c.assign(static_cast<size_t>(pick(1, 3)), 0);
    for (int& n : c.seg_c) n = pick_of({16, 31, 64, 96, 101, 130});
  }
  c.out_pad = pick_of({0, 0, 3, 16});
  c.dense = i % 2 == 0;
  fill_case(c);
  return c;
}

// Tiles [cuts[0], cuts[1]), [cuts[2], cuts[3]), ... of a case over maps of any element, into `out`.
template <class AnyMap>
AnyMap run_conv(const HostKernels& be, const ConvCase& c, const std::vector<SegmentView>& segs,
                AnyMap out, const std::vector<int>& cuts, const ResidualView& residual = {}) {
  std::vector<float> packed(be.conv_packed_floats(c.s) + 2, kCanary);
  be.conv_pack(c.s, c.weight.data(), c.bias.data(), packed.data() + 1);
  CHECK(packed.front() == kCanary && packed.back() == kCanary);
  // Whatever lies in the scratch, behind whose end nothing is written.
  const size_t scratch_floats = be.conv_scratch_floats(c.s);
  std::vector<float> scratch(scratch_floats + 32, kNan);
  float* const aligned =
      scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64 / 4;
  std::fill(aligned + scratch_floats, scratch.data() + scratch.size(), kCanary);
  const ConvArgs a{&c.s, segs.data(), packed.data() + 1, out.view(), aligned, residual};
  for (size_t i = 0; i + 1 < cuts.size(); i += 2) be.conv(a, cuts[i], cuts[i + 1]);
  CHECK(std::all_of(aligned + scratch_floats, scratch.data() + scratch.size(),
                    [](float x) { return x == kCanary; }));
  return out;
}

inline Map run_conv(const HostKernels& be, const ConvCase& c, const Map& like,
                    const std::vector<int>& cuts) {
  return run_conv(be, c, c.segs, like, cuts);
}

inline void check_conv(const ConvCase& c) {
  Map empty = c.dense ? make_map(c.s.out_h, c.s.out_w, c.s.out_c, 0, 0, 0)
                      : make_output(c.s.out_h, c.s.out_w, c.s.out_c, c.out_pad);
  empty.memory.assign(empty.memory.size(), kCanary);
  Map expected = run_conv(ref_kernels(), c, empty, {0, ref_kernels().conv_tiles(c.s)});
  for (const HostKernels* be : all_isas()) {
    const int tiles = be->conv_tiles(c.s);
    Map got = run_conv(*be, c, empty, {0, tiles});
    const double error = worst(got, expected, 0, c.s.out_c, c.bound);
    if (!(error <= 1)) {
      std::fprintf(
          stderr,
          "%s %s: in %dx%dx%d out %dx%dx%d k %dx%dx%d s %dx%d d %dx%d p %dx%d g %d segs %d\n",
          be->isa, std::string(to_string(c.s.algorithm)).c_str(), c.s.in_c, c.s.in_h, c.s.in_w,
          c.s.out_c, c.s.out_h, c.s.out_w, c.s.kt, c.s.kh, c.s.kw, c.s.sh, c.s.sw, c.s.dh, c.s.dw,
          c.s.ph, c.s.pw, c.s.groups, c.s.n_segs);
    }
    CHECK(error <= 1);
    CHECK(canaries_alive(got, 0, static_cast<int>(got.g.pixel_stride)));
    std::vector<int> order(tiles), one_by_one, pieces;
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), rng);
    for (const int t : order) one_by_one.insert(one_by_one.end(), {t, t + 1});
    for (int lo = 0; lo < tiles;) {
      const int hi = std::min(tiles, lo + pick(1, 7));
      pieces.insert(pieces.end(), {lo, hi});
      lo = hi;
    }
    CHECK(same_bits(got.memory, run_conv(*be, c, empty, one_by_one).memory));
    CHECK(same_bits(got.memory, run_conv(*be, c, empty, pieces).memory));
  }
}

}  // namespace pvnet::test
