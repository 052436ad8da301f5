// SPDX-License-Identifier: Apache-2.0
// Convolutions of every instruction set of the cpu backend against the reference backend, on random
// shapes, and the registry of backends.
#include <cstdlib>
#include <numeric>
#include <regex>

#include "backends/registry.hpp"
#include "host_conv.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

ConvCase random_case(int i) {
  ConvCase c;
  ConvShape& s = c.s;
  s.in_h = pick_of({1, 2, 3, 5, 7, 7, 8, 13, 16});
  s.in_w = pick_of({1, 2, 3, 4, 5, 6, 7, 7, 8, 13, 15, 16, 29});
  s.kt = pick_of({1, 1, 2, 3});
  s.kh = pick_of({1, 3, 3, 5});
  s.kw = pick_of({1, 3, 3, 4, 5, 7});
  s.sh = pick(1, 2);
  s.sw = pick(1, 3);
  s.dh = pick_of({1, 1, 2});
  s.dw = pick_of({1, 1, 2});
  s.ph = s.dh * (s.kh - 1) / 2 + (s.dh * (s.kh - 1) + 1 > s.in_h ? s.dh * (s.kh - 1) / 2 + 1 : 0);
  s.pw = s.dw * (s.kw - 1) / 2 + (s.dw * (s.kw - 1) + 1 > s.in_w ? s.dw * (s.kw - 1) / 2 + 1 : 0);
  if (s.in_h >= s.kh * 2 + 1 && s.in_w >= s.kw * 2 + 1 && pick(0, 4) == 0) s.ph = s.pw = 0;
  give_act(s, pick(0, kLastAct));
  s.out_c = pick_of({1, 2, 5, 8, 13, 16, 17, 24, 32, 33, 48, 67});
  const int n_segs = pick(1, 3);
  for (int j = 0; j < n_segs; ++j) c.seg_c.push_back(pick_of({1, 3, 4, 7, 16, 21, 32}));
  const int in_c = std::accumulate(c.seg_c.begin(), c.seg_c.end(), 0);
  if (i % 5 == 3) {  // depthwise
    s.groups = s.out_c = in_c;
  } else if (i % 5 == 4) {
    for (const int g : {6, 5, 4, 3, 2}) {
      if (in_c % g == 0) {
        s.groups = g;
        s.out_c = g * pick_of({1, 3, 16, 20});
        break;
      }
    }
  }
  c.out_pad = pick_of({0, 0, 3, 16});
  fill_case(c);
  return c;
}

}  // namespace

TEST(conv_random_shapes) {
  for (int i = 0; i < 250; ++i) check_conv(random_case(i));
}

TEST(conv_of_one_or_two_channels_beyond_whole_vectors) {
  for (int i = 0; i < 150; ++i) check_conv(narrow_case(i));
}

// Taps side by side are one run where a map has no gaps. No sum may show it: the same node lies in
// other maps in another wiring.
TEST(bits_of_a_convolution_do_not_depend_on_gaps_between_pixels) {
  for (const int out : {1, 17, 18, 40}) {
    ConvCase c;
    c.s.in_h = 5, c.s.in_w = 9;
    c.s.kh = c.s.kw = 3;
    c.s.ph = c.s.pw = 1;
    c.s.out_c = out;
    c.seg_c = {37};
    c.dense = true;
    fill_case(c);
    const Map& dense = c.frames[0][0];
    Map gaps = make_input(c.s.in_h, c.s.in_w, c.s.in_c, 1, 1, 11);
    for (int y = 0; y < c.s.in_h; ++y) {
      for (int x = 0; x < c.s.in_w; ++x) std::copy_n(Map(dense).at(y, x), c.s.in_c, gaps.at(y, x));
    }
    const float* const tap = c.taps[0][0] == nullptr ? nullptr : gaps.data();
    const std::vector<SegmentView> apart = {{gaps.g, &tap}};
    const Map empty = make_output(c.s.out_h, c.s.out_w, out, 0);
    for (const HostKernels* be : all_isas()) {
      const int tiles = be->conv_tiles(c.s);
      const Map want = run_conv(*be, c, c.segs, empty, {0, tiles});
      CHECK(run_conv(*be, c, apart, empty, {0, tiles}).memory == want.memory);
    }
  }
}

// More weights than a chunk, more runs than a list, rows wider than a batch.
TEST(conv_large_shapes) {
  const auto layer = [](int in, int out, int h, int w, int kt, int k, int stride) {
    ConvCase c;
    c.s.in_h = h;
    c.s.in_w = w;
    c.s.kt = kt;
    c.s.kh = c.s.kw = k;
    c.s.sh = c.s.sw = stride;
    c.s.ph = c.s.pw = k / 2;
    c.s.out_c = out;
    c.s.act = Act::relu;
    c.seg_c = {in, 5};
    fill_case(c);
    check_conv(c);
  };
  layer(600, 40, 7, 7, 3, 3, 1);
  layer(3, 20, 20, 24, 7, 7, 2);   // 686 runs
  layer(64, 34, 6, 8, 7, 7, 1);    // 686 runs, two channels apart
  layer(90, 33, 2, 500, 3, 3, 1);  // 72 or 167 groups in a row
}

// More bytes in the rows of a window than the first cache holds: channels go in pieces.
TEST(conv_deep_depthwise_maps) {
  for (const int channels : {300, 385, 576}) {
    for (const int stride : {1, 2}) {
      ConvCase c;
      c.s.in_h = 6;
      c.s.in_w = 15;
      c.s.kh = c.s.kw = 3;
      c.s.sh = c.s.sw = stride;
      c.s.ph = c.s.pw = 1;
      c.s.out_c = c.s.groups = channels;
      c.s.act = Act::relu;
      c.seg_c = {channels};
      fill_case(c);
      check_conv(c);
    }
  }
}

// Pointwise layers whose rows follow each other without a gap, as one long row; some with gaps
// between the pixels of the output only.
TEST(conv_pointwise_over_rows) {
  for (int i = 0; i < 80; ++i) {
    ConvCase c;
    c.s.in_h = pick(1, 14);
    c.s.in_w = pick(1, 30);
    c.s.kt = pick_of({1, 1, 2});
    c.s.sw = i % 8 == 7 ? 2 : 1;
    c.s.out_c = pick_of({8, 16, 20, 32, 40});
    give_act(c.s, i);
    c.seg_c.assign(pick(1, 2), 0);
    for (int& n : c.seg_c) n = pick_of({3, 16, 32});
    c.dense = i % 4 != 3;
    fill_case(c);
    check_conv(c);
  }
}

// The first half of the tiles: the upper rows of a map, or, where weights are many, the first
// channels.
TEST(lanes_share_rows_of_maps_or_channels_of_weights) {
  for (const bool rows : {true, false}) {
    ConvCase c;
    c.s.in_h = c.s.in_w = rows ? 16 : 4;
    c.s.kh = c.s.kw = 3;
    c.s.ph = c.s.pw = 1;
    c.s.out_c = 64;
    c.seg_c = {8};
    fill_case(c);
    CHECK(tiles_by_rows(c.s) == rows);
    Map empty = make_output(c.s.out_h, c.s.out_w, c.s.out_c, 0);
    empty.memory.assign(empty.memory.size(), kCanary);
    for (const HostKernels* be : all_isas()) {
      Map out = run_conv(*be, c, empty, {0, be->conv_tiles(c.s) / 2});
      for (int y = 0; y < c.s.out_h; ++y) {
        for (int o = 0; o < c.s.out_c; ++o) {
          const bool mine = rows ? y < c.s.out_h / 2 : o < c.s.out_c / 2;
          CHECK((out.at(y, 1)[o] != kCanary) == mine);
        }
      }
    }
  }
}

TEST(conv_propagates_nan) {
  for (const HostKernels* be : all_isas()) {
    for (int i = 0; i < 2 * (kLastAct + 1); ++i) {
      ConvCase c;
      c.s.in_h = c.s.in_w = 7;
      c.s.out_c = i % 2 == 0 ? 20 : 32;  // blocks in part, and whole ones
      give_act(c.s, i / 2);
      c.seg_c = {6};
      fill_case(c);
      c.taps[0][0] = c.frames[0][0].data();  // never a missing firing here
      c.frames[0][0].at(3, 3)[2] = kNan;
      Map out = run_conv(*be, c, make_output(7, 7, c.s.out_c, 0), {0, be->conv_tiles(c.s)});
      for (int y = 0; y < 7; ++y) {
        for (int x = 0; x < 7; ++x) CHECK(std::isnan(out.at(y, x)[19]) == (y == 3 && x == 3));
      }
    }
  }
}

TEST(the_registry_finds_backends_and_refuses_others) {
  const std::regex form("^\\[[^\\]]+\\] [^:]+: got [\\s\\S]+, expected [\\s\\S]+\\. [\\s\\S]+\\.$");
  const auto refused = [&](const char* name, const char* isa, Code code) {
    const auto r = find_backend(name, isa);
    CHECK(!r.ok());
    if (r.ok()) return;
    CHECK(r.status().code() == code);
    CHECK(std::regex_match(r.status().message(), form));
  };
  CHECK(find_backend("ref", "").value()->kernels == &ref_kernels());
  CHECK(find_backend("cpu", "scalar").value()->kernels == cpu_kernels("scalar", nullptr));
  CHECK(find_backend("cpu", "scalar").value() == find_backend("cpu", "scalar").value());
  CHECK(std::strcmp(find_backend("auto", "").value()->name, "cpu") == 0);
  refused("cuda", "", Code::unsupported);
  refused("gpu", "", Code::invalid_argument);
  refused("cpu", "sse9", Code::unsupported);
  refused("ref", "avx2", Code::unsupported);
#if defined(__x86_64__)
  refused("cpu", "neon", Code::unsupported);
#endif
  CHECK(std::strcmp(cpu_isas()[0], "") != 0);
  setenv("PVNET_CPU_ISA", "scalar", 1);
  CHECK(std::strcmp(find_backend("cpu", "").value()->isa, "scalar") == 0);
  setenv("PVNET_CPU_ISA", "nonsense", 1);
  refused("cpu", "", Code::unsupported);
  unsetenv("PVNET_CPU_ISA");
  const std::string all = describe_backends();
  CHECK(all.find("{\"name\": \"cpu\", \"isa\": \"scalar\", \"available\": true, \"why\": \"\"}") !=
        std::string::npos);
  CHECK(all.find("\"name\": \"cuda\", \"isa\": \"sm80\", \"available\": false") !=
        std::string::npos);
}
