// SPDX-License-Identifier: Apache-2.0
// Kernels of plans over 8 bits of every instruction set against those of the reference, and those
// against float64; how elements are rounded.
#include <numeric>

#include "byte_maps.hpp"
#include "check.hpp"
#include "host_conv.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

const HostKernels& ref() { return ref_kernels(Dtype::int8); }

ConvCase conv_case(int i) {
  ConvCase c;
  ConvShape& s = c.s;
  s.algorithm = ConvAlgorithm::int8;
  s.in_h = pick_of({1, 2, 5, 7, 13});
  s.in_w = pick_of({1, 3, 5, 7, 8, 15, 29});
  s.kt = pick_of({1, 1, 2, 3});
  s.kh = pick_of({1, 3, 3, 5});
  s.kw = pick_of({1, 3, 3, 4, 5, 7});
  s.sh = pick(1, 2);
  s.sw = pick(1, 3);
  s.dh = pick_of({1, 1, 2});
  s.dw = pick_of({1, 1, 2});
  s.ph = s.dh * (s.kh - 1) / 2 + (s.dh * (s.kh - 1) + 1 > s.in_h ? s.dh * (s.kh - 1) / 2 + 1 : 0);
  s.pw = s.dw * (s.kw - 1) / 2 + (s.dw * (s.kw - 1) + 1 > s.in_w ? s.dw * (s.kw - 1) / 2 + 1 : 0);
  give_act(s, i % 3 == 0 ? pick(0, kLastAct) : pick_of({0, 1, 4}));
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
  c.dense = std::any_of(c.seg_c.begin(), c.seg_c.end(), [](int n) { return n < kWideChannels; });
  c.out_pad = pick_of({0, 0, 3, 16});
  fill_case(c);
  return c;
}

// The same case over maps of 8 bits.
struct ByteCase {
  std::vector<std::vector<ByteMap>> frames;
  std::vector<std::vector<const float*>> taps;
  std::vector<SegmentView> segs;
  explicit ByteCase(const ConvCase& c) {
    for (size_t i = 0; i < c.frames.size(); ++i) {
      const Kind kind = any_8_bits();
      frames.emplace_back();
      for (const Map& m : c.frames[i]) frames.back().push_back(stored(m, kind));
      taps.emplace_back();
      for (size_t t = 0; t < c.taps[i].size(); ++t) {
        taps.back().push_back(c.taps[i][t] == nullptr ? nullptr : frames.back()[t].data());
      }
    }
    for (size_t i = 0; i < frames.size(); ++i) segs.push_back({frames[i][0].g, taps[i].data()});
  }
};

bool limits_only(Act act) { return act == Act::none || act == Act::relu || act == Act::clamp; }

void check_bytes(ConvCase& c) {
  const ByteCase bytes(c);
  const ByteMap start = stored(make_output(c.s.out_h, c.s.out_w, c.s.out_c, c.out_pad), any_kind());
  // Steps of the maps times the weights' own: results of about 1.
  for (float& w : c.weight) w *= 0.01f;
  const ByteMap expected = run_conv(ref(), c, bytes.segs, start, {0, ref().conv_tiles(c.s)});
  CHECK(rest_unchanged(start, expected, 0, c.s.out_c));
  for (const HostKernels* be : all_int8()) {
    const int tiles = be->conv_tiles(c.s), channels = static_cast<int>(start.g.pixel_stride);
    const ByteMap got = run_conv(*be, c, bytes.segs, start, {0, tiles});
    const double error = worst(got, expected, 0, c.s.out_c, 1e-5);
    const double allowed = limits_only(c.s.act) ? 0.0 : 1.01;
    if (!(error <= allowed)) {
      std::fprintf(stderr,
                   "%s: in %dx%dx%d out %dx%dx%d k %dx%dx%d s %dx%d d %dx%d g %d segs %d of %s\n",
                   be->isa, c.s.in_c, c.s.in_h, c.s.in_w, c.s.out_c, c.s.out_h, c.s.out_w, c.s.kt,
                   c.s.kh, c.s.kw, c.s.sh, c.s.sw, c.s.dh, c.s.dw, c.s.groups, c.s.n_segs,
                   std::string(to_string(bytes.segs[0].g.dtype)).c_str());
    }
    CHECK(error <= allowed);
    CHECK(rest_unchanged(start, got, 0, channels));
    std::vector<int> order(tiles), one_by_one;
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), rng);
    for (const int t : order) one_by_one.insert(one_by_one.end(), {t, t + 1});
    const ByteMap again = run_conv(*be, c, bytes.segs, start, one_by_one);
    CHECK_EQ(worst(again, got, 0, c.s.out_c, 1e-30), 0.0);
  }
}

}  // namespace

TEST(convolutions_over_8_bits_equal_the_reference) {
  for (int i = 0; i < 300; ++i) {
    ConvCase c = conv_case(i);
    check_bytes(c);
  }
}

TEST(one_or_two_channels_beyond_whole_vectors_over_8_bits) {
  for (int i = 0; i < 150; ++i) {
    ConvCase c = narrow_case(i, ConvAlgorithm::int8);
    check_bytes(c);
  }
}

// More weights than a chunk, more runs than a list, lines of a narrow frame.
TEST(large_convolutions_over_8_bits) {
  const auto layer = [](std::vector<int> in, int out, int h, int w, int kt, int k, int stride) {
    ConvCase c;
    c.s.algorithm = ConvAlgorithm::int8;
    c.s.in_h = h;
    c.s.in_w = w;
    c.s.kt = kt;
    c.s.kh = c.s.kw = k;
    c.s.sh = c.s.sw = stride;
    c.s.ph = c.s.pw = k / 2;
    c.s.out_c = out;
    c.dense = true;
    c.seg_c = std::move(in);
    fill_case(c);
    check_bytes(c);
  };
  layer({600, 5}, 40, 7, 7, 3, 3, 1);
  layer({3}, 20, 20, 24, 7, 7, 2);
  layer({3, 5, 1}, 20, 20, 24, 7, 7, 2);  // 1029 runs
  layer({90, 5}, 33, 2, 500, 3, 3, 1);    // 72 or 167 groups in a row
  layer({64}, 70, 9, 9, 1, 3, 1);
  layer({64, 5}, 34, 6, 8, 7, 7, 1);  // 686 runs, two channels apart
}

// Rounded to the convolution's own map, then added: every kind of all three maps, whole blocks of
// channels and others, groups, a map that is not there.
TEST(a_convolution_over_8_bits_that_adds_gives_the_bits_of_two_operations) {
  std::vector<const HostKernels*> tables = all_int8();
  tables.push_back(&ref());
  for (int i = 0; i < 150; ++i) {
    ConvCase c = i % 5 == 1 ? narrow_case(i, ConvAlgorithm::int8) : conv_case(i);
    ConvShape& s = c.s;
    if (s.groups > 1 && s.groups == s.in_c && s.groups == s.out_c) continue;  // depthwise
    if (i % 3 == 0) s.out_c = s.groups * pick_of({32, 64});
    if (i % 3 == 0) fill_case(c);
    for (float& w : c.weight) w *= 0.01f;
    const ByteCase bytes(c);
    const Kind own = i % 4 == 0 ? any_kind() : any_8_bits();
    const Kind kind = i % 4 == 0 ? any_kind() : any_8_bits();
    const int pad = pick_of({0, 3, 16, 64});
    ByteMap more = stored(make_input(s.out_h, s.out_w, s.out_c, pick(0, 1), pick(0, 1), pad),
                          i % 4 == 0 ? any_kind() : any_8_bits());
    const bool there = i % 10 != 9;
    const ByteMap start = stored(make_output(s.out_h, s.out_w, s.out_c, c.out_pad), kind);
    for (const HostKernels* be : tables) {
      ConvCase alone = c;
      alone.s.act = Act::none;
      ByteMap map =
          run_conv(*be, alone, bytes.segs, stored(make_output(s.out_h, s.out_w, s.out_c, 0), own),
                   {0, be->conv_tiles(s)});
      ByteMap expected = start;
      EltwiseArgs a;
      a.op = EltOp::add;
      a.act = s.act, a.numbers = s.numbers;
      a.n = 2;
      a.g[0] = map.g, a.g[1] = more.g;
      a.data[0] = map.data(), a.data[1] = there ? more.data() : nullptr;
      a.c = s.out_c;
      a.out = expected.view();
      be->eltwise(a, 0, s.out_h);

      ConvCase sum = c;
      sum.s.residual = true;
      sum.s.alone = {own.dtype, own.scale};
      const int tiles = be->conv_tiles(sum.s);
      CHECK_EQ(tiles, be->conv_tiles(s));
      const ResidualView added{more.g, there ? more.data() : nullptr};
      const ByteMap got =
          run_conv(*be, sum, bytes.segs, start, {tiles / 2, tiles, 0, tiles / 2}, added);
      CHECK_EQ(worst(got, expected, 0, s.out_c, 1e-30), 0.0);
      CHECK(rest_unchanged(start, got, 0, static_cast<int>(start.g.pixel_stride)));
    }
  }
}

// As networks have them: more channels than 64, whole and not; one and two pixels apart.
TEST(depthwise_layers_over_8_bits) {
  for (int i = 0; i < 160; ++i) {
    ConvCase c;
    c.s.algorithm = ConvAlgorithm::int8;
    c.s.in_h = pick(3, 9);
    c.s.in_w = pick(3, 18);
    c.s.kt = pick_of({1, 1, 2});
    c.s.kh = pick_of({3, 3, 1});
    c.s.kw = pick_of({3, 3, 5});
    c.s.sh = c.s.sw = pick(1, 2);
    c.s.dh = pick_of({1, 1, 2});
    c.s.ph = c.s.dh * (c.s.kh / 2), c.s.pw = c.s.kw / 2;
    c.seg_c = {pick_of({8, 16, 32, 64, 70, 96, 130, 144})};
    c.s.out_c = c.s.groups = c.seg_c[0];
    give_act(c.s, pick_of({0, 1, 4, 2}));
    c.out_pad = pick_of({0, 3, 16});
    fill_case(c);
    check_bytes(c);
  }
}

// The definition, in float64: exact sums, one rounding of every step.
TEST(the_reference_is_what_is_defined) {
  for (int i = 0; i < 40; ++i) {
    ConvCase c = conv_case(1);
    ConvShape& s = c.s;
    if (s.groups != 1) continue;
    s.act = Act::none;
    const ByteCase bytes(c);
    const Kind kind = any_8_bits();
    const ByteMap out =
        run_conv(ref(), c, bytes.segs, stored(make_output(s.out_h, s.out_w, s.out_c, 0), kind),
                 {0, s.out_h});
    const int64_t taps = int64_t{s.kt} * s.kh * s.kw, each = taps * s.in_c;
    int wrong = 0;
    for (int o = 0; o < s.out_c; ++o) {
      const float* w = c.weight.data() + o * each;
      float most = 0;
      for (int64_t k = 0; k < each; ++k) most = std::max(most, std::abs(w[k]));
      const float scale = most / 127;
      const float inverse = 1.0f / scale;
      double sum = 0;  // of output pixel (0, 0)
      for (int64_t tap = 0; tap < taps; ++tap) {
        const auto j = static_cast<int>(tap / (s.kh * s.kw));
        const int y = static_cast<int>(tap / s.kw % s.kh) * s.dh - s.ph;
        const int x = static_cast<int>(tap % s.kw) * s.dw - s.pw;
        if (y < 0 || y >= s.in_h || x < 0 || x >= s.in_w) continue;
        int channel = 0;
        for (size_t seg = 0; seg < bytes.frames.size(); ++seg) {
          for (int k = 0; k < c.seg_c[seg]; ++k, ++channel) {
            if (bytes.taps[seg][static_cast<size_t>(j)] == nullptr) continue;
            const ByteMap& map = bytes.frames[seg][static_cast<size_t>(j)];
            const double steps = std::round(double{map.value(y, x, k)} / map.g.scale);
            sum += steps * std::nearbyint(w[channel * taps + tap] * inverse);
          }
        }
      }
      const auto value = static_cast<float>(static_cast<float>(sum) * double{scale} + c.bias[o]);
      const float steps = std::nearbyint(value * (1.0f / kind.scale));
      const float stored_steps =
          std::clamp(steps, lowest_step(kind.dtype), highest_step(kind.dtype));
      wrong += std::round(out.value(0, 0, o) / kind.scale) == stored_steps ? 0 : 1;
    }
    CHECK_EQ(wrong, 0);
  }
}

// To nearest, ties to even; what lies beyond is the last step; a NaN is the lowest.
TEST(steps_are_rounded_as_defined) {
  CHECK_EQ(step_of(0.5f, 1.0f, 0.0f, 255.0f), 0);
  CHECK_EQ(step_of(1.5f, 1.0f, 0.0f, 255.0f), 2);
  CHECK_EQ(step_of(-2.5f, 1.0f, -128.0f, 127.0f), -2);
  CHECK_EQ(step_of(254.6f, 1.0f, 0.0f, 255.0f), 255);
  CHECK_EQ(step_of(1e30f, 1.0f, 0.0f, 255.0f), 255);
  CHECK_EQ(step_of(-1e30f, 1.0f, -128.0f, 127.0f), -128);
  std::vector<float> x = {kNan, 3e38f, -3e38f, 0.0f, -0.0f};
  for (int i = -600; i <= 600; ++i) x.push_back(static_cast<float>(i) * 0.25f);
  const int n = static_cast<int>(x.size());
  const int64_t strides[3] = {1, 0, 0};
  std::vector<const HostKernels*> tables = all_int8();
  tables.push_back(&ref());
  for (const Dtype dtype : {Dtype::int8, Dtype::uint8}) {
    for (const HostKernels* be : tables) {
      MapGeometry g{1, 1, n, 0, 0, n, n};
      g.dtype = dtype;
      g.scale = 0.5f;
      std::vector<uint8_t> loaded(static_cast<size_t>(n) + 64);
      const MapView to{g, reinterpret_cast<float*>(loaded.data())};
      be->load_f32(x.data(), strides, to);
      std::vector<float> back(static_cast<size_t>(n));
      be->store_f32(g, to.data, back.data(), 0, g.h);
      int wrong = 0;
      for (int i = 0; i < n; ++i) {
        const int want = step_of(x[i], 2.0f, lowest_step(dtype), highest_step(dtype));
        const int got = dtype == Dtype::uint8 ? loaded[i] : static_cast<int8_t>(loaded[i]);
        wrong += got == want && back[i] == static_cast<float>(want) * 0.5f ? 0 : 1;
      }
      CHECK_EQ(wrong, 0);
    }
  }
}
