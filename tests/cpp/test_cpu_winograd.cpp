// SPDX-License-Identifier: Apache-2.0
// Winograd convolutions of every instruction set against the reference: shapes, paddings, segments,
// temporal taps, pieces of work; errors, and what becomes of a NaN.
#include <cmath>
#include <limits>

#include "host_conv.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

constexpr ConvAlgorithm kTiled[] = {ConvAlgorithm::winograd2, ConvAlgorithm::winograd4};

ConvCase window(ConvAlgorithm algorithm) {
  ConvCase c;
  c.s.algorithm = algorithm;
  c.s.kh = c.s.kw = 3;
  return c;
}

ConvCase random_case(ConvAlgorithm algorithm) {
  ConvCase c = window(algorithm);
  ConvShape& s = c.s;
  s.in_h = pick_of({1, 2, 3, 4, 5, 7, 8, 13, 16});
  s.in_w = pick_of({1, 2, 3, 4, 5, 6, 7, 8, 13, 15, 29});
  s.kt = pick_of({1, 1, 2, 3});
  s.ph = pick(s.in_h < 3 ? 1 : 0, 2), s.pw = pick(s.in_w < 3 ? 1 : 0, 2);
  c.end_h = pick(s.in_h < 3 ? 1 : 0, 2), c.end_w = pick(s.in_w < 3 ? 1 : 0, 2);
  give_act(s, pick(0, kLastAct));
  s.out_c = pick_of({1, 2, 5, 8, 13, 16, 17, 24, 33, 67, 130});
  const int n_segs = pick(1, 3);
  for (int j = 0; j < n_segs; ++j) c.seg_c.push_back(pick_of({1, 3, 4, 7, 16, 21, 32, 70}));
  c.out_pad = pick_of({0, 0, 3, 16});
  fill_case(c);
  return c;
}

// Root mean square of the error of an algorithm, relative to that of the values; linear.
double relative_error(const HostKernels& be, ConvCase& c, ConvAlgorithm algorithm, Map& expected) {
  c.s.algorithm = algorithm;
  const Map empty = make_output(c.s.out_h, c.s.out_w, c.s.out_c, 0);
  Map got = run_conv(be, c, empty, {0, be.conv_tiles(c.s)});
  double wrong = 0, all = 0;
  for (int y = 0; y < c.s.out_h; ++y) {
    for (int x = 0; x < c.s.out_w; ++x) {
      for (int i = 0; i < c.s.out_c; ++i) {
        const double want = expected.at(y, x)[i], error = got.at(y, x)[i] - want;
        wrong += error * error, all += want * want;
      }
    }
  }
  return std::sqrt(wrong / all);
}

bool finite(const Map& map, int y, int x, int c) {
  Map m = map;
  return std::isfinite(m.at(y, x)[c]);
}

}  // namespace

TEST(winograd_random_shapes) {
  for (int i = 0; i < 120; ++i) check_conv(random_case(kTiled[i % 2]));
}

// Several groups of tiles, parts of output channels and chunks of taps.
TEST(winograd_large_shapes) {
  for (const ConvAlgorithm algorithm : kTiled) {
    const auto layer = [&](int in, int out, int h, int w, int kt) {
      ConvCase c = window(algorithm);
      c.s.in_h = h, c.s.in_w = w;
      c.s.kt = kt;
      c.s.ph = c.s.pw = 1;
      c.s.out_c = out;
      c.s.act = Act::relu;
      c.seg_c = {in, 5};
      fill_case(c);
      check_conv(c);
    };
    layer(300, 150, 9, 21, 2);
    layer(20, 70, 40, 44, 3);
  }
}

TEST(winograd_error_is_small) {
  for (const HostKernels* be : all_isas()) {
    ConvCase c = window(ConvAlgorithm::direct);
    c.s.in_h = c.s.in_w = 20;
    c.s.ph = c.s.pw = 1;
    c.s.out_c = 40;
    c.seg_c = {64};
    fill_case(c);
    c.taps[0][0] = c.frames[0][0].data();  // never a missing firing here
    Map expected = run_conv(ref_kernels(), c, make_output(20, 20, 40, 0), {0, 20});
    const double direct = relative_error(*be, c, ConvAlgorithm::direct, expected);
    const double two = relative_error(*be, c, ConvAlgorithm::winograd2, expected);
    const double four = relative_error(*be, c, ConvAlgorithm::winograd4, expected);
    if (std::getenv("PVNET_TABLE") != nullptr) {
      std::printf("  %s: direct %.1e, 2x2 %.1e, 4x4 %.1e\n", be->isa, direct, two, four);
    }
    CHECK(direct < 1e-6);
    CHECK(two < 1e-6);
    CHECK(four < 3e-6);
  }
}

// Others of its tile may be NaN, too; infinity may become NaN.
TEST(winograd_loses_no_nan) {
  for (const HostKernels* be : all_isas()) {
    for (const ConvAlgorithm algorithm : kTiled) {
      for (const float special : {kNan, std::numeric_limits<float>::infinity()}) {
        ConvCase c = window(algorithm);
        const int size = tile_size(algorithm), h = 13, w = 11;
        c.s.in_h = h, c.s.in_w = w;
        c.s.ph = c.s.pw = 1;
        c.s.out_c = 20;
        c.seg_c = {6};
        fill_case(c);
        c.taps[0][0] = c.frames[0][0].data();  // never a missing firing here
        const int at_y = pick(0, h - 1), at_x = pick(0, w - 1);
        c.frames[0][0].at(at_y, at_x)[2] = special;
        const Map out = run_conv(*be, c, make_output(h, w, 20, 0), {0, be->conv_tiles(c.s)});
        for (int y = 0; y < h; ++y) {
          for (int x = 0; x < w; ++x) {
            const bool reads = std::abs(y - at_y) <= 1 && std::abs(x - at_x) <= 1;
            const int ty = y / size * size, tx = x / size * size;  // of the tile
            const bool tile_reads =
                at_y >= ty - 1 && at_y <= ty + size && at_x >= tx - 1 && at_x <= tx + size;
            if (reads) CHECK(!finite(out, y, x, 19));
            if (!tile_reads) CHECK(finite(out, y, x, 19));
          }
        }
      }
    }
  }
}

TEST(winograd_is_for_3x3_of_stride_1_only) {
  ConvShape s;
  s.in_h = s.in_w = s.out_h = s.out_w = 56;
  s.in_c = s.out_c = 64;
  s.kh = s.kw = 3;
  s.ph = s.pw = 1;
  const auto chosen = [](const ConvShape& shape, AlgorithmWish wish) {
    return choose_algorithm(cpu_kernels("", nullptr), shape, wish);
  };
  CHECK(chosen(s, AlgorithmWish::winograd) != ConvAlgorithm::direct);
  CHECK(chosen(s, AlgorithmWish::direct) == ConvAlgorithm::direct);
  CHECK(choose_algorithm(&ref_kernels(), s, AlgorithmWish::automatic) == ConvAlgorithm::direct);
  CHECK(choose_algorithm(nullptr, s, AlgorithmWish::automatic) == ConvAlgorithm::direct);
  const auto refused = [&](auto&& change) {
    ConvShape other = s;
    change(other);
    CHECK(chosen(other, AlgorithmWish::winograd) == ConvAlgorithm::direct);
    CHECK(chosen(other, AlgorithmWish::automatic) == ConvAlgorithm::direct);
  };
  refused([](ConvShape& o) { o.kh = 1; });
  refused([](ConvShape& o) { o.kw = 5; });
  refused([](ConvShape& o) { o.sh = 2; });
  refused([](ConvShape& o) { o.sw = 2; });
  refused([](ConvShape& o) { o.dh = 2; });
  refused([](ConvShape& o) { o.dw = 2; });
  refused([](ConvShape& o) { o.groups = 2; });
}

// The choice of a layer does not depend on how many values are read, nor in how many stages.
TEST(winograd_is_chosen_by_shape) {
  for (const HostKernels* be : all_isas()) {
    ConvShape s;
    s.kh = s.kw = 3;
    s.ph = s.pw = 1;
    s.in_c = s.out_c = 128;
    const auto at = [&](int size) {
      s.in_h = s.in_w = s.out_h = s.out_w = size;
      return choose_algorithm(be, s, AlgorithmWish::automatic);
    };
    CHECK(at(56) == ConvAlgorithm::winograd4);
    CHECK(at(28) == ConvAlgorithm::winograd4);
    CHECK(at(1) == ConvAlgorithm::direct);
    s.in_c = 3;
    CHECK(at(56) == ConvAlgorithm::direct);
  }
}
