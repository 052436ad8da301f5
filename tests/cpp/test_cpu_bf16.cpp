// SPDX-License-Identifier: Apache-2.0
// Kernels over bf16 of every instruction set against those of the reference, and those against
// floats; how elements are rounded.
#include <numeric>

#include "check.hpp"
#include "half_maps.hpp"
#include "host_conv.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

const HostKernels& ref() { return ref_kernels(Dtype::bf16); }

ConvCase conv_case(int i) {
  ConvCase c;
  ConvShape& s = c.s;
  s.in_h = pick_of({1, 2, 5, 7, 13});
  s.in_w = pick_of({1, 3, 5, 7, 8, 15, 29});
  s.kt = pick_of({1, 1, 2, 3});
  s.kh = pick_of({1, 3, 3, 5});
  s.kw = pick_of({1, 3, 3, 4, 7});
  s.sh = pick(1, 2);
  s.sw = pick(1, 3);
  s.dh = pick_of({1, 1, 2});
  s.dw = pick_of({1, 1, 2});
  s.ph = s.dh * (s.kh - 1) / 2 + (s.dh * (s.kh - 1) + 1 > s.in_h ? s.dh * (s.kh - 1) / 2 + 1 : 0);
  s.pw = s.dw * (s.kw - 1) / 2 + (s.dw * (s.kw - 1) + 1 > s.in_w ? s.dw * (s.kw - 1) / 2 + 1 : 0);
  give_act(s, pick(0, kLastAct));
  s.out_c = pick_of({1, 5, 8, 16, 17, 32, 33, 67});
  const int n_segs = pick(1, 3);
  for (int j = 0; j < n_segs; ++j) c.seg_c.push_back(pick_of({1, 2, 3, 4, 7, 16, 21, 32}));
  const int in_c = std::accumulate(c.seg_c.begin(), c.seg_c.end(), 0);
  if (i % 5 == 3) {  // depthwise
    s.groups = s.out_c = in_c;
  } else if (i % 5 == 4) {
    for (const int g : {6, 5, 4, 3, 2}) {
      if (in_c % g != 0) continue;
      s.groups = g;
      s.out_c = g * pick_of({1, 3, 16, 20});
      break;
    }
  }
  c.out_pad = pick_of({0, 0, 3, 16});
  fill_case(c);
  return c;
}

// The same case over bf16.
struct HalfCase {
  std::vector<std::vector<HalfMap>> frames;
  std::vector<std::vector<const float*>> taps;
  std::vector<SegmentView> segs;
  explicit HalfCase(const ConvCase& c) {
    for (size_t i = 0; i < c.frames.size(); ++i) {
      frames.emplace_back();
      for (const Map& m : c.frames[i]) frames.back().push_back(narrowed(m));
      taps.emplace_back();
      for (size_t t = 0; t < c.taps[i].size(); ++t) {
        taps.back().push_back(c.taps[i][t] == nullptr ? nullptr : frames.back()[t].data());
      }
    }
    for (size_t i = 0; i < frames.size(); ++i) segs.push_back({frames[i][0].g, taps[i].data()});
  }
};

void check_halves(ConvCase& c) {
  round_values(c.weight);
  for (auto& maps : c.frames) {
    for (Map& m : maps) round_values(m.memory);
  }
  const HalfCase half(c);
  const Map empty = make_output(c.s.out_h, c.s.out_w, c.s.out_c, c.out_pad);
  const HalfMap start = narrowed(empty);
  const HalfMap expected = run_conv(ref(), c, half.segs, start, {0, ref().conv_tiles(c.s)});
  // The reference over floats, whose result is rounded: the same sums in the same order.
  const Map floats = run_conv(ref_kernels(), c, empty, {0, ref_kernels().conv_tiles(c.s)});
  CHECK(expected.memory == narrowed(floats).memory);
  for (const HostKernels* be : all_bf16()) {
    const int tiles = be->conv_tiles(c.s), channels = static_cast<int>(start.g.pixel_stride);
    const HalfMap got = run_conv(*be, c, half.segs, start, {0, tiles});
    const double error = worst(got, expected, 0, c.s.out_c, 1.0, c.bound * 1.1);
    if (!(error <= 1)) {
      std::fprintf(stderr, "%s: in %dx%dx%d out %dx%dx%d k %dx%dx%d s %dx%d d %dx%d g %d segs %d\n",
                   be->isa, c.s.in_c, c.s.in_h, c.s.in_w, c.s.out_c, c.s.out_h, c.s.out_w, c.s.kt,
                   c.s.kh, c.s.kw, c.s.sh, c.s.sw, c.s.dh, c.s.dw, c.s.groups, c.s.n_segs);
    }
    CHECK(error <= 1);
    CHECK(rest_unchanged(start, got, 0, channels));
    std::vector<int> order(tiles), one_by_one;
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), rng);
    for (const int t : order) one_by_one.insert(one_by_one.end(), {t, t + 1});
    const HalfMap again = run_conv(*be, c, half.segs, start, one_by_one);
    CHECK_EQ(worst(again, got, 0, c.s.out_c, 0.0, 1e-45), 0.0);
  }
}

}  // namespace

TEST(convolutions_over_bf16_equal_the_reference) {
  for (int i = 0; i < 250; ++i) {
    ConvCase c = conv_case(i);
    check_halves(c);
  }
}

TEST(one_or_two_channels_beyond_whole_vectors_over_bf16) {
  for (int i = 0; i < 150; ++i) {
    ConvCase c = narrow_case(i);
    check_halves(c);
  }
}

// Tiles are transformed and multiplied as floats.
TEST(convolutions_by_tiles_over_bf16) {
  for (int i = 0; i < 100; ++i) {
    ConvCase c = conv_case(5 * i);
    ConvShape& s = c.s;
    s.kh = s.kw = 3;
    s.sh = s.sw = s.dh = s.dw = s.ph = s.pw = 1;
    s.algorithm = i % 2 == 0 ? ConvAlgorithm::winograd2 : ConvAlgorithm::winograd4;
    c.weight.clear(), c.frames.clear(), c.taps.clear(), c.segs.clear();
    fill_case(c);
    check_halves(c);
  }
}

// More weights than a chunk, more runs than a list, odd segments that share words.
TEST(large_convolutions_over_bf16) {
  const auto layer = [](std::vector<int> in, int out, int h, int w, int kt, int k, int stride) {
    ConvCase c;
    c.s.in_h = h;
    c.s.in_w = w;
    c.s.kt = kt;
    c.s.kh = c.s.kw = k;
    c.s.sh = c.s.sw = stride;
    c.s.ph = c.s.pw = k / 2;
    c.s.out_c = out;
    c.seg_c = std::move(in);
    fill_case(c);
    check_halves(c);
  };
  layer({600, 5}, 40, 7, 7, 3, 3, 1);
  layer({3}, 20, 20, 24, 7, 7, 2);
  layer({3, 5, 1}, 20, 20, 24, 7, 7, 2);  // 1029 runs
  layer({90, 5}, 33, 2, 500, 3, 3, 1);    // 72 or 167 groups in a row
}

// All patterns survive a copy; what is stored is rounded to nearest, ties to even.
TEST(elements_are_rounded_as_defined) {
  std::vector<uint32_t> bits;
  for (uint32_t high = 0; high < 0x10000; ++high) {
    const uint32_t exponent = high & 0x7f80U;
    if (exponent == 0) continue;  // subnormal: counts as zero inside a tick
    for (const uint32_t low : {0x0000U, 0x0001U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU}) {
      bits.push_back(high << 16 | low);
    }
  }
  std::vector<float> x(bits.size());
  std::memcpy(x.data(), bits.data(), bits.size() * sizeof(float));
  const int n = static_cast<int>(x.size());
  const MapGeometry g{1, 1, n, 0, 0, n, n};
  const int64_t strides[3] = {1, 0, 0};
  std::vector<const HostKernels*> tables = all_bf16();
  tables.push_back(&ref());
  for (const HostKernels* be : tables) {
    std::vector<uint16_t> loaded(n), copied(n);
    const MapView to{g, reinterpret_cast<float*>(loaded.data())};
    be->load_f32(x.data(), strides, to);
    EltwiseArgs a;
    a.n = 1;
    a.c = n;
    a.g[0] = g;
    a.data[0] = to.data;
    a.out = {g, reinterpret_cast<float*>(copied.data())};
    be->eltwise(a, 0, 1);
    std::vector<float> stored(n);
    be->store_f32(g, to.data, stored.data(), 0, g.h);
    int wrong = 0;
    for (int i = 0; i < n; ++i) {
      const uint16_t want = bf16_bits(x[i]);
      const bool nan = std::isnan(x[i]);
      const bool right = nan ? std::isnan(bf16_value(loaded[i])) : loaded[i] == want;
      const bool kept = nan ? std::isnan(bf16_value(copied[i])) : copied[i] == want;
      const bool out = nan ? std::isnan(stored[i]) : stored[i] == bf16_value(want);
      wrong += right && kept && out ? 0 : 1;
    }
    CHECK_EQ(wrong, 0);
  }
  CHECK_EQ(bf16_bits(1.0f + std::ldexp(1.0f, -8)), 0x3f80);
  CHECK_EQ(bf16_bits(1.0f + std::ldexp(3.0f, -8)), 0x3f82);
  CHECK(std::isinf(bf16_value(bf16_bits(3.4e38f))) && !std::isinf(bf16_value(bf16_bits(3.38e38f))));
  CHECK(std::isnan(bf16_value(bf16_bits(kNan))));
}

TEST(convolutions_over_bf16_propagate_nan) {
  for (const HostKernels* be : all_bf16()) {
    for (const int channels : {5, 6}) {
      ConvCase c;
      c.s.in_h = c.s.in_w = 7;
      c.s.out_c = 20;
      c.seg_c = {channels};
      fill_case(c);
      c.taps[0][0] = c.frames[0][0].data();  // never a missing firing here
      c.frames[0][0].at(3, 3)[channels - 1] = kNan;
      const HalfCase half(c);
      const HalfMap start = narrowed(make_output(7, 7, 20, 0));
      Map out = widened(run_conv(*be, c, half.segs, start, {0, be->conv_tiles(c.s)}));
      for (int y = 0; y < 7; ++y) {
        for (int x = 0; x < 7; ++x) CHECK(std::isnan(out.at(y, x)[19]) == (y == 3 && x == 3));
      }
    }
  }
}
