// SPDX-License-Identifier: Apache-2.0
// NaN and infinity in the maps: every instruction set gives what the reference backend gives, and
// nothing that read a NaN loses it.
#include <algorithm>

#include "check.hpp"
#include "kernel_maps.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// An input with some NaN, some infinity, or both.
Map with_specials(int h, int w, int c, int halo, int kind) {
  Map m = make_input(h, w, c, halo, halo, pick_of({0, 3}));
  const int n = 1 + h * w * c / 40;
  for (int i = 0; i < n; ++i) {
    const float inf = pick(0, 1) == 0 ? kInf : -kInf;
    const float special = kind == 0 ? kNan : kind == 1 ? inf : pick(0, 1) == 0 ? kNan : inf;
    m.at(pick(0, h - 1), pick(0, w - 1))[pick(0, c - 1)] = special;
  }
  return m;
}

// The same values up to rounding, infinity and NaN in the same places.
bool same(Map& a, Map& b, int c_lo, int c_hi) {
  for (int y = 0; y < a.g.h; ++y) {
    for (int x = 0; x < a.g.w; ++x) {
      for (int i = c_lo; i < c_hi; ++i) {
        const float p = a.at(y, x)[i], q = b.at(y, x)[i];
        if (std::isnan(p) && std::isnan(q)) continue;
        if (p == q) continue;
        if (!(std::abs(p - q) <= 1e-4f * (1.0f + std::abs(q)))) return false;
      }
    }
  }
  return true;
}

bool any_nan(Map& m, int y, int x, int c) { return std::isnan(m.at(y, x)[c]); }

}  // namespace

TEST(a_nan_or_infinity_in_a_pool_is_handed_on) {
  for (int i = 0; i < 90; ++i) {
    PoolArgs a;
    a.is_max = i % 2 == 0;
    a.count_include_pad = pick(0, 1) == 1;
    a.kt = pick(1, 2), a.kh = pick(1, 3), a.kw = pick(1, 3), a.sh = pick(1, 2), a.sw = pick(1, 2);
    a.ph = a.kh / 2, a.pw = a.kw / 2;
    const int h = i % 9 == 0 ? 40 : pick(4, 8), w = i % 9 == 0 ? 80 : pick(4, 9);
    const int c = pick_of({1, 3, 8, 17, 64, 70});
    Map old = with_specials(h, w, c, 0, i % 3);
    Map now = old;
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) std::reverse(now.at(y, x), now.at(y, x) + c);
    }
    const float* taps[2] = {pick(0, 3) == 0 ? nullptr : old.data(), now.data()};
    a.seg = {old.g, taps + 2 - a.kt};
    const int oh = (h + 2 * a.ph - a.kh) / a.sh + 1, ow = (w + 2 * a.pw - a.kw) / a.sw + 1;
    const Map empty = make_output(oh, ow, c, 2);
    Map expected = empty;
    a.out = expected.view();
    ref_kernels().pool(a, 0, oh);
    for (const HostKernels* be : all_isas()) {
      Map got = empty;
      a.out = got.view();
      be->pool(a, 0, oh);
      CHECK(same(got, expected, 0, c));
    }
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        for (int k = 0; k < c; ++k) {
          if (!any_nan(now, y, x, k)) continue;
          const int oy = (y + a.ph) / a.sh, ox = (x + a.pw) / a.sw;
          if (oy * a.sh - a.ph + a.kh <= y || ox * a.sw - a.pw + a.kw <= x) continue;
          if (oy < oh && ox < ow) CHECK(any_nan(expected, oy, ox, k));
        }
      }
    }
  }
}

TEST(a_nan_or_infinity_in_an_activation_is_handed_on) {
  for (int i = 0; i < 60; ++i) {
    EltwiseArgs a;
    a.op = std::vector<EltOp>{EltOp::copy, EltOp::add, EltOp::mul,
                              EltOp::sub,  EltOp::div, EltOp::prelu}[i % 6];
    give_act(a, i);
    a.n = a.op == EltOp::copy ? 1 : 2;
    a.c = pick_of({1, 3, 16, 19});
    const int h = 3, w = 5;
    Map x = with_specials(h, w, a.c, 0, i % 3), other = with_specials(h, w, a.c, 0, (i + 1) % 3);
    a.g[0] = x.g, a.g[1] = other.g;
    a.data[0] = x.data(), a.data[1] = other.data();
    const Map empty = make_output(h, w, a.c, 1);
    Map expected = empty;
    a.out = expected.view();
    ref_kernels().eltwise(a, 0, h);
    for (const HostKernels* be : all_isas()) {
      Map got = empty;
      a.out = got.view();
      be->eltwise(a, 0, h);
      CHECK(same(got, expected, 0, a.c));
    }
    for (int y = 0; y < h; ++y) {
      for (int k = 0; k < a.c * w; ++k) {
        if (any_nan(x, y, k / a.c, k % a.c)) CHECK(any_nan(expected, y, k / a.c, k % a.c));
      }
    }
  }
}

TEST(a_nan_or_infinity_in_a_convolution_is_handed_on) {
  for (int i = 0; i < 60; ++i) {
    ConvShape s;
    s.in_h = pick(4, 7), s.in_w = pick(4, 9);
    s.groups = pick_of({1, 1, 2, 6});
    s.in_c = 6, s.out_c = s.groups == 6 ? 6 : pick_of({2, 20, 34});
    s.kh = pick(1, 3), s.kw = pick(1, 3), s.ph = s.kh / 2, s.pw = s.kw / 2;
    s.out_h = s.in_h + 2 * s.ph - s.kh + 1, s.out_w = s.in_w + 2 * s.pw - s.kw + 1;
    give_act(s, i);
    s.seg_c = &s.in_c, s.n_segs = 1;
    Map in = with_specials(s.in_h, s.in_w, s.in_c, 1, i % 3);
    const float* taps[1] = {in.data()};
    const SegmentView seg{in.g, taps};
    std::vector<float> weight(s.out_c * (s.in_c / s.groups) * s.kh * s.kw), bias(s.out_c, 0.1f);
    for (float& v : weight) v = value();
    const Map empty = make_output(s.out_h, s.out_w, s.out_c, 1);
    const auto run = [&](const HostKernels& be) {
      Map out = empty;
      std::vector<float> packed(be.conv_packed_floats(s) + 16);
      float* aligned =
          packed.data() + (64 - reinterpret_cast<uintptr_t>(packed.data()) % 64) % 64 / 4;
      be.conv_pack(s, weight.data(), bias.data(), aligned);
      be.conv({&s, &seg, aligned, out.view()}, 0, be.conv_tiles(s));
      return out;
    };
    Map expected = run(ref_kernels());
    for (const HostKernels* be : all_isas()) {
      Map got = run(*be);
      CHECK(same(got, expected, 0, s.out_c));
    }
  }
}

TEST(a_nan_or_infinity_in_the_other_operations_is_handed_on) {
  for (int i = 0; i < 60; ++i) {
    const int c = pick_of({1, 3, 16, 19}), h = pick(2, 6), w = pick(2, 7);
    Map in = with_specials(h, w, c, 0, i % 3);
    const int oh = pick_of({h, 2 * h, 5}), ow = pick_of({w, 2 * w, 4});
    std::vector<float> scale(c, 2.0f), shift(c, -0.5f);
    const float* taps[2] = {nullptr, in.data()};
    const Map up_empty = make_output(oh, ow, c, 1), aff_empty = make_output(h, w, c, 1);
    const Map one_empty = make_output(1, 1, c, 1);
    const auto run = [&](const HostKernels& be, Map& up, Map& aff, Map& soft, Map& mean) {
      be.upsample({i % 2 ? Interp::nearest : Interp::bilinear, in.g, in.data(), up.view(), 0}, 0,
                  oh);
      be.affine({in.g, in.data(), scale.data(), shift.data(), aff.view(), 0}, 0, h);
      be.softmax({soft.view()}, 0, h);
      be.global_pool({2, {in.g, taps}, mean.view(), 0});
    };
    Map up1 = up_empty, aff1 = aff_empty, soft1 = in, mean1 = one_empty;
    run(ref_kernels(), up1, aff1, soft1, mean1);
    for (const HostKernels* be : all_isas()) {
      Map up = up_empty, aff = aff_empty, soft = in, mean = one_empty;
      run(*be, up, aff, soft, mean);
      CHECK(same(up, up1, 0, c));
      CHECK(same(aff, aff1, 0, c));
      CHECK(same(soft, soft1, 0, c));
      CHECK(same(mean, mean1, 0, c));
    }
    for (int y = 0; y < h; ++y) {
      for (int k = 0; k < c * w; ++k) {
        if (!any_nan(in, y, k / c, k % c)) continue;
        CHECK(any_nan(aff1, y, k / c, k % c));
        for (int other = 0; other < c; ++other) CHECK(any_nan(soft1, y, k / c, other));
        CHECK(any_nan(mean1, 0, 0, k % c));
        if (oh == h && ow == w) CHECK(any_nan(up1, y, k / c, k % c));
      }
    }
    if (oh != h || ow != w) continue;  // the same size is a copy: no neighbour takes part
    for (int y = 0; y < h; ++y) {
      for (int k = 0; k < c * w; ++k) {
        const float v = in.at(y, k / c)[k % c];
        if (std::isfinite(v)) CHECK(up1.at(y, k / c)[k % c] == v);
      }
    }
  }
}
