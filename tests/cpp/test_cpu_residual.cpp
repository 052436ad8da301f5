// SPDX-License-Identifier: Apache-2.0
// A convolution that adds a map gives the bits of the convolution alone and the sum after it: every
// instruction set and the reference, every algorithm, both elements.
#include <algorithm>
#include <vector>

#include "half_maps.hpp"
#include "host_conv.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

// Vectors of channels that are whole and that are not, rows of whole groups and long ones, groups,
// depthwise, a window as large as the map.
ConvCase random_case(int i) {
  ConvCase c;
  ConvShape& s = c.s;
  s.in_h = pick_of({1, 4, 7, 14});
  s.in_w = pick_of({1, 5, 7, 15, 16});
  s.kt = pick_of({1, 1, 2});
  s.kh = s.kw = i % 3 == 0 ? 1 : 3;
  s.ph = s.pw = s.kh / 2;
  s.sh = s.sw = i % 7 == 0 ? 2 : 1;
  s.out_c = pick_of({3, 16, 20, 32, 40, 64});
  c.seg_c = {pick_of({4, 16, 33})};
  if (i % 5 == 1) c.seg_c.push_back(pick_of({4, 16}));
  const int in_c = std::accumulate(c.seg_c.begin(), c.seg_c.end(), 0);
  if (i % 5 == 2) s.groups = s.out_c = in_c;
  if (i % 5 == 3) c.seg_c = {32}, s.groups = 2, s.out_c = 2 * pick_of({5, 16, 24});
  if (i % 11 == 10) s.kh = s.in_h, s.kw = s.in_w, s.ph = s.pw = 0;
  c.out_pad = pick_of({0, 0, 5});
  c.dense = i % 4 == 0;
  give_act(s, i);
  fill_case(c);
  return c;
}

// The steps that one operation stands for.
template <class AnyMap>
AnyMap in_two_steps(const HostKernels& be, ConvCase c, const std::vector<SegmentView>& segs,
                    const AnyMap& empty, AnyMap& residual, bool there) {
  const Act act = c.s.act;
  const ActNumbers numbers = c.s.numbers;
  c.s.act = Act::none;
  AnyMap alone = run_conv(be, c, segs, empty, {0, be.conv_tiles(c.s)});
  AnyMap out = empty;
  EltwiseArgs a;
  a.op = EltOp::add;
  a.act = act, a.numbers = numbers;
  a.n = 2;
  a.g[0] = alone.g, a.g[1] = residual.g;
  a.data[0] = alone.data();
  a.data[1] = there ? residual.data() : nullptr;
  a.c = c.s.out_c;
  a.out = out.view();
  be.eltwise(a, 0, c.s.out_h);
  return out;
}

// Interior pixels, whose padding may hold anything.
bool same_pixels(Map a, Map b) {
  for (int y = 0; y < a.g.h; ++y) {
    for (int x = 0; x < a.g.w; ++x) {
      if (std::memcmp(a.at(y, x), b.at(y, x), sizeof(float) * a.g.c) != 0) return false;
    }
  }
  return true;
}
bool same_pixels(const HalfMap& a, const HalfMap& b) { return same_pixels(widened(a), widened(b)); }

template <class AnyMap>
void check_sum(const HostKernels& be, const ConvCase& c, const std::vector<SegmentView>& segs,
               const AnyMap& empty, AnyMap residual, bool there) {
  const AnyMap expected = in_two_steps(be, c, segs, empty, residual, there);
  ConvCase sum = c;
  sum.s.residual = true;
  const ResidualView added{residual.g, there ? residual.data() : nullptr};
  const int tiles = be.conv_tiles(sum.s);
  CHECK(tiles == be.conv_tiles(c.s));
  CHECK(be.conv_cost(sum.s) == be.conv_cost(c.s));  // or another algorithm might be chosen
  const AnyMap got = run_conv(be, sum, segs, empty, {0, tiles}, added);
  const AnyMap halves = run_conv(be, sum, segs, empty, {tiles / 2, tiles, 0, tiles / 2}, added);
  const bool same = same_pixels(got, expected) && same_pixels(halves, expected);
  if (!same) {
    std::fprintf(stderr, "%s %s: out %dx%dx%d k %dx%dx%d g %d act %d\n", be.isa,
                 std::string(to_string(c.s.algorithm)).c_str(), c.s.out_c, c.s.out_h, c.s.out_w,
                 c.s.kt, c.s.kh, c.s.kw, c.s.groups, static_cast<int>(c.s.act));
  }
  CHECK(same);
}

void check_all(ConvCase c, bool there) {
  Map empty = c.dense ? make_map(c.s.out_h, c.s.out_w, c.s.out_c, 0, 0, 0)
                      : make_output(c.s.out_h, c.s.out_w, c.s.out_c, c.out_pad);
  const int halo = c.dense ? 0 : pick(0, 1);
  Map residual = make_input(c.s.out_h, c.s.out_w, c.s.out_c, halo, halo, pick_of({0, 0, 16}));
  std::vector<const HostKernels*> tables = all_isas();
  tables.push_back(&ref_kernels());
  for (const HostKernels* be : tables) {
    for (const auto a :
         {ConvAlgorithm::direct, ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
      c.s.algorithm = a;
      if (is_possible(be, c.s, a)) check_sum(*be, c, c.segs, empty, residual, there);
    }
  }
  std::vector<std::vector<HalfMap>> maps;
  std::vector<std::vector<const float*>> taps;
  for (auto& frames : c.frames) {
    std::vector<HalfMap>& of = maps.emplace_back();
    for (const Map& m : frames) of.push_back(narrowed(m));
  }
  std::vector<SegmentView> segs;
  for (size_t i = 0; i < maps.size(); ++i) {
    auto& of = taps.emplace_back();
    for (size_t t = 0; t < maps[i].size(); ++t) {
      of.push_back(c.taps[i][t] == nullptr ? nullptr : maps[i][t].data());
    }
  }
  for (size_t i = 0; i < maps.size(); ++i) segs.push_back({maps[i][0].g, taps[i].data()});
  tables = all_bf16();
  tables.push_back(&ref_kernels(Dtype::bf16));
  for (const HostKernels* be : tables) {
    for (const auto a :
         {ConvAlgorithm::direct, ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
      c.s.algorithm = a;
      if (!is_possible(be, c.s, a)) continue;
      check_sum(*be, c, segs, narrowed(empty), narrowed(residual), there);
    }
  }
}

}  // namespace

TEST(a_convolution_that_adds_gives_the_bits_of_two_operations) {
  for (int i = 0; i < 120; ++i) check_all(random_case(i), true);
  for (int i = 0; i < 60; ++i) check_all(narrow_case(i), true);
}

TEST(a_residual_that_is_not_there_reads_as_0) {
  for (int i = 0; i < 40; ++i) check_all(random_case(i), false);
}
