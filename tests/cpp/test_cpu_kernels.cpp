// SPDX-License-Identifier: Apache-2.0
// Every instruction set of the cpu backend against the reference backend, on random shapes. Input
// halos are zero, lanes beyond c are NaN, and everything a kernel must not write is a canary.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <regex>
#include <vector>

#include "backends/registry.hpp"
#include "check.hpp"

using namespace pvnet;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kCanary = 1.2345e30f;
constexpr int kGuard = 64;  // floats before and after a map
constexpr double kUnit = 1.0 / (1 << 24);

std::mt19937 rng(7);
int pick(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(rng); }
int pick_of(std::initializer_list<int> v) { return v.begin()[pick(0, static_cast<int>(v.size()) - 1)]; }
float value() { return std::uniform_real_distribution<float>(-1.0f, 1.0f)(rng); }

struct Map {
  MapGeometry g;
  std::vector<float> memory;
  float* data() { return memory.data() + kGuard + g.halo_h * g.row_stride + g.halo_w * g.pixel_stride; }
  MapView view() { return {g, data()}; }
  float* at(int y, int x) { return data() + y * g.row_stride + x * g.pixel_stride; }
};

Map make_map(int h, int w, int c, int halo_h, int halo_w, int pad) {
  Map m;
  m.g = {h, w, c, halo_h, halo_w, c + pad, 0};
  m.g.row_stride = (w + 2 * halo_w) * m.g.pixel_stride + (pad == 0 ? 0 : pick(0, 3));
  m.memory.assign(2 * kGuard + (h + 2 * halo_h) * m.g.row_stride, kNan);
  return m;
}

Map make_input(int h, int w, int c, int halo_h, int halo_w, int pad) {
  Map m = make_map(h, w, c, halo_h, halo_w, pad);
  for (int y = -halo_h; y < h + halo_h; ++y) {
    for (int x = -halo_w; x < w + halo_w; ++x) {
      const bool inside = y >= 0 && y < h && x >= 0 && x < w;
      for (int i = 0; i < c; ++i) m.at(y, x)[i] = inside ? value() : 0.0f;
    }
  }
  return m;
}

Map make_output(int h, int w, int c, int pad) {
  Map m = make_map(h, w, c, pick(0, 2), pick(0, 2), pad);
  m.memory.assign(m.memory.size(), kCanary);
  return m;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Nothing outside the interior pixels' channels [c_lo, pixel_stride) was written.
bool canaries_alive(const Map& written, int c_lo, int c_hi) {
  Map m = written;
  for (int y = 0; y < m.g.h; ++y) {
    for (int x = 0; x < m.g.w; ++x) {
      for (int i = c_lo; i < c_hi; ++i) m.at(y, x)[i] = kCanary;
    }
  }
  for (const float v : m.memory) {
    if (v != kCanary) return false;
  }
  return true;
}

// Largest |a - b| / bound over channels [c_lo, c_hi); infinite where one is NaN.
double worst(Map& a, Map& b, int c_lo, int c_hi, double bound) {
  double w = 0;
  for (int y = 0; y < a.g.h; ++y) {
    for (int x = 0; x < a.g.w; ++x) {
      for (int i = c_lo; i < c_hi; ++i) {
        const double p = a.at(y, x)[i], q = b.at(y, x)[i];
        const double d = std::abs(p - q) / (bound * (1 + std::abs(q)));
        w = d <= w ? w : d == d ? d : std::numeric_limits<double>::infinity();
      }
    }
  }
  return w;
}

std::vector<const Backend*> all_isas() {
  std::vector<const Backend*> all;
  for (const char* const* isa = cpu_isas(); *isa != nullptr; ++isa) {
    all.push_back(cpu_backend(*isa, nullptr));
  }
  return all;
}

struct ConvCase {
  ConvShape s;
  std::vector<int> seg_c;
  std::vector<float> weight, bias;
  std::vector<std::vector<Map>> frames;  // [segment][tap]
  std::vector<std::vector<const float*>> taps;
  std::vector<SegmentView> segs;
  int out_pad = 0;
  double bound = 0;  // of the rounding error of an output before the activation
};

void fill_case(ConvCase& c) {
  ConvShape& s = c.s;
  s.in_c = std::accumulate(c.seg_c.begin(), c.seg_c.end(), 0);
  s.seg_c = c.seg_c.data();
  s.n_segs = static_cast<int>(c.seg_c.size());
  s.out_h = (s.in_h + 2 * s.ph - s.dh * (s.kh - 1) - 1) / s.sh + 1;
  s.out_w = (s.in_w + 2 * s.pw - s.dw * (s.kw - 1) - 1) / s.sw + 1;
  const int k = s.in_c / s.groups * s.kt * s.kh * s.kw;
  c.weight.resize(static_cast<size_t>(s.out_c) * k);
  c.bias.resize(s.out_c);
  for (float& w : c.weight) w = value();
  for (float& b : c.bias) b = value();
  for (const int n : c.seg_c) {
    const int pad = pick_of({0, 0, 1, 5, 16}), hh = s.ph + pick(0, 1), hw = s.pw + pick(0, 1);
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

ConvCase random_case(int i) {
  ConvCase c;
  ConvShape& s = c.s;
  s.in_h = pick_of({1, 2, 3, 5, 7, 7, 8, 13, 16});
  s.in_w = pick_of({1, 2, 3, 4, 5, 6, 7, 7, 8, 13, 15, 16, 29});
  s.kt = pick_of({1, 1, 2, 3});
  s.kh = pick_of({1, 3, 3, 5});
  s.kw = pick_of({1, 3, 3, 4, 7});
  s.sh = pick(1, 2);
  s.sw = pick(1, 3);
  s.dh = pick_of({1, 1, 2});
  s.dw = pick_of({1, 1, 2});
  s.ph = s.dh * (s.kh - 1) / 2 + (s.dh * (s.kh - 1) + 1 > s.in_h ? s.dh * (s.kh - 1) / 2 + 1 : 0);
  s.pw = s.dw * (s.kw - 1) / 2 + (s.dw * (s.kw - 1) + 1 > s.in_w ? s.dw * (s.kw - 1) / 2 + 1 : 0);
  if (s.in_h >= s.kh * 2 + 1 && s.in_w >= s.kw * 2 + 1 && pick(0, 4) == 0) s.ph = s.pw = 0;
  s.act = std::vector<Act>{Act::none, Act::relu, Act::silu, Act::sigmoid}[pick(0, 3)];
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

Map run_conv(const Backend& be, const ConvCase& c, const Map& like, const std::vector<int>& cuts) {
  Map out = like;
  std::vector<float> packed(be.conv_packed_floats(c.s) + 2, kCanary);
  be.conv_pack(c.s, c.weight.data(), c.bias.data(), packed.data() + 1);
  CHECK(packed.front() == kCanary && packed.back() == kCanary);
  const ConvArgs a{&c.s, c.segs.data(), packed.data() + 1, out.view()};
  for (size_t i = 0; i + 1 < cuts.size(); i += 2) be.conv(a, cuts[i], cuts[i + 1]);
  return out;
}

void check_conv(const ConvCase& c) {
  const Map empty = make_output(c.s.out_h, c.s.out_w, c.s.out_c, c.out_pad);
  Map expected = run_conv(ref_backend(), c, empty, {0, ref_backend().conv_tiles(c.s)});
  for (const Backend* be : all_isas()) {
    const int tiles = be->conv_tiles(c.s);
    Map got = run_conv(*be, c, empty, {0, tiles});
    const double error = worst(got, expected, 0, c.s.out_c, c.bound);
    if (!(error <= 1)) {
      std::fprintf(stderr, "%s: in %dx%dx%d out %dx%dx%d k %dx%dx%d s %dx%d d %dx%d p %dx%d g %d segs %d\n",
                   be->isa, c.s.in_c, c.s.in_h, c.s.in_w, c.s.out_c, c.s.out_h, c.s.out_w, c.s.kt,
                   c.s.kh, c.s.kw, c.s.sh, c.s.sw, c.s.dh, c.s.dw, c.s.ph, c.s.pw, c.s.groups,
                   c.s.n_segs);
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

}  // namespace

TEST(conv_random_shapes) {
  for (int i = 0; i < 250; ++i) check_conv(random_case(i));
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
  layer(90, 33, 2, 500, 3, 3, 1);  // 72 or 167 groups in a row
}

TEST(conv_propagates_nan) {
  for (const Backend* be : all_isas()) {
    for (const Act act : {Act::none, Act::relu, Act::silu, Act::sigmoid}) {
      ConvCase c;
      c.s.in_h = c.s.in_w = 7;
      c.s.out_c = 20;
      c.s.act = act;
      c.seg_c = {6};
      fill_case(c);
      c.frames[0][0].at(3, 3)[2] = kNan;
      Map out = run_conv(*be, c, make_output(7, 7, 20, 0), {0, be->conv_tiles(c.s)});
      for (int y = 0; y < 7; ++y) {
        for (int x = 0; x < 7; ++x) CHECK(std::isnan(out.at(y, x)[19]) == (y == 3 && x == 3));
      }
    }
  }
}

TEST(pool) {
  for (int i = 0; i < 120; ++i) {
    PoolArgs a;
    a.is_max = pick(0, 1) == 1;
    a.count_include_pad = pick(0, 1) == 1;
    a.kt = pick(1, 3);
    a.kh = pick(1, 3);
    a.kw = pick(1, 4);
    a.sh = pick(1, 2);
    a.sw = pick(1, 3);
    a.ph = a.kh / 2;
    a.pw = a.kw / 2;
    a.dh = a.dw = i % 7 == 0 ? 2 : 1;
    const int h = pick(5, 9), w = pick(7, 15), c = pick_of({1, 3, 8, 16, 17, 64, 70, 129});
    // Pools need no halo: pixels outside the map are not read.
    std::vector<Map> maps;
    std::vector<const float*> taps;
    const int pad = pick_of({0, 2, 16});
    maps.push_back(make_input(h, w, c, 0, 0, pad));
    for (int t = 1; t < a.kt; ++t) {
      maps.push_back(maps[0]);
      for (int y = 0; y < h; ++y) {
        for (int x = 0; x < w; ++x) {
          for (int k = 0; k < c; ++k) maps[t].at(y, x)[k] = value();
        }
      }
    }
    const int missing = pick(0, 2) == 0 ? pick(0, a.kt) : 0;
    for (int t = 0; t < a.kt; ++t) taps.push_back(t < missing ? nullptr : maps[t].data());
    a.seg = {maps[0].g, taps.data()};
    a.out_c0 = pick_of({0, 3, 16});
    const int oh = (h + 2 * a.ph - a.dh * (a.kh - 1) - 1) / a.sh + 1;
    const int ow = (w + 2 * a.pw - a.dw * (a.kw - 1) - 1) / a.sw + 1;
    const Map empty = make_output(oh, ow, a.out_c0 + c + pick_of({0, 4}), pick_of({0, 5}));
    Map expected = empty;
    a.out = expected.view();
    ref_backend().pool(a, 0, oh);
    for (const Backend* be : all_isas()) {
      Map got = empty;
      a.out = got.view();
      for (int y = oh - 1; y >= 0; --y) be->pool(a, y, y + 1);
      // At most 36 terms of at most 1 (maxima are exact).
      CHECK(worst(got, expected, a.out_c0, a.out_c0 + c, a.is_max ? 1e-30 : 40 * kUnit) <= 1);
      CHECK(canaries_alive(got, a.out_c0, a.out_c0 + c));
    }
  }
}

TEST(eltwise) {
  for (int i = 0; i < 150; ++i) {
    EltwiseArgs a;
    a.op = static_cast<EltOp>(pick(0, 2));
    a.act = std::vector<Act>{Act::none, Act::relu, Act::silu, Act::sigmoid}[pick(0, 3)];
    a.n = a.op == EltOp::copy ? 1 : pick(2, 4);
    a.c = pick_of({1, 3, 16, 17, 40});
    const int h = pick(1, 5), w = pick(1, 9);
    std::vector<Map> maps;
    for (int k = 0; k < a.n; ++k) {
      const int kind = k == 0 ? 0 : pick(0, 3);  // 1: a pixel for all, 2: a channel for all
      a.c0[k] = kind == 2 || pick(0, 1) == 0 ? 0 : pick(0, 4);
      const int c = kind == 2 ? 1 : a.c + a.c0[k];
      maps.push_back(make_input(kind == 1 ? 1 : h, kind == 1 ? 1 : w, c, pick(0, 1), pick(0, 1),
                                kind == 2 ? a.c - 1 : pick_of({0, 0, 3})));
    }
    for (int k = 0; k < a.n; ++k) {
      a.g[k] = maps[k].g;
      a.data[k] = pick(0, 9) == 0 ? nullptr : maps[k].data();
    }
    a.out_c0 = pick_of({0, 0, 5});
    const Map empty = make_output(h, w, a.out_c0 + a.c, pick_of({0, 0, 4}));
    Map expected = empty;
    a.out = expected.view();
    ref_backend().eltwise(a, 0, h);
    for (const Backend* be : all_isas()) {
      Map got = empty;
      a.out = got.view();
      for (int y = h - 1; y >= 0; --y) be->eltwise(a, y, y + 1);
      CHECK(worst(got, expected, a.out_c0, a.out_c0 + a.c, 8 * kUnit) <= 1);
      CHECK(canaries_alive(got, a.out_c0, a.out_c0 + a.c));
    }
  }
}

TEST(upsample_affine_softmax_global_pool) {
  for (int i = 0; i < 80; ++i) {
    const int c = pick_of({1, 3, 13, 16, 17, 40}), c0 = pick_of({0, 2, 16}), h = pick(1, 7), w = pick(1, 9);
    Map in = make_input(h, w, c, 1, 0, pick_of({0, 3}));
    const float* data = pick(0, 9) == 0 ? nullptr : in.data();
    const int oh = pick(1, 14), ow = pick(1, 20);
    const Map up_empty = make_output(oh, ow, c0 + c, 1), same_empty = make_output(h, w, c0 + c, 2);
    const Map one_empty = make_output(1, 1, c0 + c, 2);
    std::vector<float> scale(c), shift(c);
    for (int k = 0; k < c; ++k) scale[k] = value(), shift[k] = value();
    const float* taps[2] = {pick(0, 1) ? nullptr : in.data(), in.data()};
    const auto run = [&](const Backend& be, Map& up, Map& aff, Map& soft, Map& mean) {
      UpsampleArgs u{i % 2 ? Interp::nearest : Interp::bilinear, in.g, data, up.view(), c0};
      for (int y = oh - 1; y >= 0; --y) be.upsample(u, y, y + 1);
      AffineArgs f{in.g, data, scale.data(), shift.data(), aff.view(), c0};
      for (int y = h - 1; y >= 0; --y) be.affine(f, y, y + 1);
      for (int y = h - 1; y >= 0; --y) be.softmax({soft.view()}, y, y + 1);
      be.global_pool({2, {in.g, taps}, mean.view(), c0});
    };
    Map up1 = up_empty, aff1 = same_empty, soft1 = make_input(h, w, c, 0, 0, 3), mean1 = one_empty;
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        for (int k = 0; k < c; ++k) soft1.at(y, x)[k] *= 30;
      }
    }
    const Map soft0 = soft1;
    run(ref_backend(), up1, aff1, soft1, mean1);
    for (const Backend* be : all_isas()) {
      Map up = up_empty, aff = same_empty, soft = soft0, mean = one_empty;
      run(*be, up, aff, soft, mean);
      CHECK(worst(up, up1, c0, c0 + c, 4 * kUnit) <= 1);
      CHECK(worst(aff, aff1, c0, c0 + c, 4 * kUnit) <= 1);
      CHECK(worst(soft, soft1, 0, c, 8 * kUnit) <= 1);
      CHECK(worst(mean, mean1, c0, c0 + c, 130 * kUnit) <= 1);
      CHECK(canaries_alive(up, c0, c0 + c));
      CHECK(canaries_alive(aff, c0, c0 + c));
      CHECK(canaries_alive(mean, c0, c0 + c));
    }
  }
}

// silu and sigmoid over the whole range, against double.
TEST(activation_accuracy) {
  std::vector<float> x;
  for (float v = -120.0f; v <= 120.0f; v += 0.0173f) x.push_back(v);
  for (const float v : {0.0f, -0.0f, 1e-30f, -1e-30f, 1e30f, -1e30f}) x.push_back(v);
  const int n = static_cast<int>(x.size());
  for (const Backend* be : all_isas()) {
    for (const Act act : {Act::silu, Act::sigmoid}) {
      std::vector<float> y(n);
      EltwiseArgs a;
      a.act = act;
      a.n = 1;
      a.c = n;
      a.g[0] = {1, 1, n, 0, 0, n, n};
      a.data[0] = x.data();
      a.out = {a.g[0], y.data()};
      be->eltwise(a, 0, 1);
      double error = 0;
      for (int i = 0; i < n; ++i) {
        const double s = 1 / (1 + std::exp(-double{x[i]}));
        const double want = act == Act::silu ? x[i] * s : s;
        error = std::max(error, std::abs(y[i] - want) / (std::abs(want) + 1e-29));
      }
      // 3 ulp, but absolute where the result is tiny: the exponential overflows early.
      CHECK(error < 6 * kUnit);
    }
  }
}

TEST(frames_in_and_out) {
  for (int i = 0; i < 40; ++i) {
    const int c = pick_of({1, 3, 3, 4, 20}), h = pick(1, 6), w = pick(1, 70), pitch = w * c + pick(0, 9);
    std::vector<uint8_t> bytes(h * pitch);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(pick(0, 255));
    std::vector<float> scale(c), shift(c), floats(c * h * w);
    for (int k = 0; k < c; ++k) scale[k] = value() / 255, shift[k] = value();
    for (float& v : floats) v = value();
    int64_t strides[3] = {h * w, w, 1};
    if (i % 2) strides[0] = 1, strides[1] = w * c, strides[2] = c;
    const Map empty = make_output(h, w, c, pick_of({0, 0, 1, 16}));
    Map u1 = empty, f1 = empty;
    ref_backend().load_u8(bytes.data(), pitch, scale.data(), shift.data(), u1.view());
    ref_backend().load_f32(floats.data(), strides, f1.view());
    std::vector<float> stored1(c * h * w);
    ref_backend().store_f32(f1.g, f1.data(), stored1.data());
    for (const Backend* be : all_isas()) {
      Map u = empty, f = empty;
      be->load_u8(bytes.data(), pitch, scale.data(), shift.data(), u.view());
      be->load_f32(floats.data(), strides, f.view());
      CHECK(worst(u, u1, 0, c, 4 * kUnit) <= 1);
      CHECK(worst(f, f1, 0, c, 1e-30) <= 1);
      CHECK(canaries_alive(u, 0, c));
      CHECK(canaries_alive(f, 0, c));
      std::vector<float> stored(c * h * w, kCanary);
      be->store_f32(f.g, f.data(), stored.data());
      CHECK(same_bits(stored, stored1));
      be->store_f32(f.g, nullptr, stored.data());
      CHECK(same_bits(stored, std::vector<float>(stored.size(), 0.0f)));
    }
  }
}

TEST(registry) {
  const std::regex form("^\\[[^\\]]+\\] [^:]+: got [\\s\\S]+, expected [\\s\\S]+\\. [\\s\\S]+\\.$");
  const auto refused = [&](const char* name, const char* isa, Code code) {
    const auto r = find_backend(name, isa);
    CHECK(!r.ok());
    if (r.ok()) return;
    CHECK(r.status().code() == code);
    CHECK(std::regex_match(r.status().message(), form));
  };
  CHECK(find_backend("ref", "").value() == &ref_backend());
  CHECK(find_backend("cpu", "scalar").value() == cpu_backend("scalar", nullptr));
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
  CHECK(all.find("\"name\": \"cuda\", \"isa\": \"\", \"available\": false") != std::string::npos);
}
