// SPDX-License-Identifier: Apache-2.0
// Everything but convolutions, of every instruction set of the cpu backend, against the reference
// backend on random shapes.
#include <algorithm>

#include "check.hpp"
#include "kernel_maps.hpp"

using namespace pvnet;
using namespace pvnet::test;

TEST(pools_equal_the_reference) {
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
    const bool large = i % 9 == 0;  // more than kernels keep at once
    const int h = large ? pick(35, 45) : pick(5, 9), w = large ? pick(60, 150) : pick(7, 15);
    const int c = pick_of({1, 3, 8, 16, 17, 40, 64, 70, 129});
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
    ref_kernels().pool(a, 0, oh);
    for (const HostKernels* be : all_isas()) {
      Map got = empty;
      a.out = got.view();
      in_parts(oh, [&](int lo, int hi) { be->pool(a, lo, hi); });
      // At most 36 terms of at most 1 (maxima are exact).
      CHECK(worst(got, expected, a.out_c0, a.out_c0 + c, a.is_max ? 1e-30 : 40 * kUnit) <= 1);
      CHECK(canaries_alive(got, a.out_c0, a.out_c0 + c));
    }
  }
}

TEST(elementwise_ops_equal_the_reference) {
  for (int i = 0; i < 150; ++i) {
    EltwiseArgs a;
    a.op = static_cast<EltOp>(pick(0, 6));
    give_act(a, pick(0, kLastAct));
    a.n = a.op == EltOp::copy                        ? 1
          : a.op == EltOp::add || a.op == EltOp::mul ? pick(2, 4)
          : a.op == EltOp::scale                     ? 3
                                                     : 2;
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
    ref_kernels().eltwise(a, 0, h);
    for (const HostKernels* be : all_isas()) {
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
    const Resampled size(i);
    const int h = size.h, w = size.w, oh = size.oh, ow = size.ow;
    const int c = pick_of({1, 3, 13, 16, 17, 40, 64, 200}), c0 = pick_of({0, 2, 16});
    Map in = make_input(h, w, c, 1, 0, pick_of({0, 3}));
    const float* data = pick(0, 9) == 0 ? nullptr : in.data();
    const Map up_empty = make_output(oh, ow, c0 + c, 1), same_empty = make_output(h, w, c0 + c, 2);
    const Map one_empty = make_output(1, 1, c0 + c, 2);
    std::vector<float> scale(c), shift(c);
    for (int k = 0; k < c; ++k) scale[k] = value(), shift[k] = value();
    const float* taps[2] = {pick(0, 1) ? nullptr : in.data(), in.data()};
    const auto run = [&](const HostKernels& be, Map& up, Map& aff, Map& soft, Map& mean) {
      UpsampleArgs u{i % 2 ? Interp::nearest : Interp::bilinear, in.g, data, up.view(), c0};
      u.align_corners = i % 4 == 0;
      in_parts(oh, [&](int lo, int hi) { be.upsample(u, lo, hi); });
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
    run(ref_kernels(), up1, aff1, soft1, mean1);
    for (const HostKernels* be : all_isas()) {
      Map up = up_empty, aff = same_empty, soft = soft0, mean = one_empty;
      run(*be, up, aff, soft, mean);
      CHECK(worst(up, up1, c0, c0 + c, 1e-30) <= 1);
      CHECK(worst(aff, aff1, c0, c0 + c, 4 * kUnit) <= 1);
      CHECK(worst(soft, soft1, 0, c, 8 * kUnit) <= 1);
      CHECK(worst(mean, mean1, c0, c0 + c, 130 * kUnit) <= 1);
      CHECK(canaries_alive(up, c0, c0 + c));
      CHECK(canaries_alive(aff, c0, c0 + c));
      CHECK(canaries_alive(mean, c0, c0 + c));
    }
  }
}

double in_double(Act act, const ActNumbers& n, double x) {
  const double soft = x > 40 ? x : std::log1p(std::exp(x));
  const double hard = std::clamp(x + 3, 0.0, 6.0) / 6;
  switch (act) {
    case Act::silu:
      return x / (1 + std::exp(-x));
    case Act::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Act::relu:
      return std::max(x, 0.0);
    case Act::clamp:
      return std::clamp(x, double{n.a}, double{n.b});
    case Act::leaky_relu:
      return x > 0 ? x : n.a * x;
    case Act::elu:
      return x > 0 ? x : n.a * std::expm1(x);
    case Act::hard_sigmoid:
      return hard;
    case Act::hard_swish:
      return x * hard;
    case Act::gelu:
      return x / 2 * std::erfc(-x / std::sqrt(2.0));
    case Act::gelu_tanh:
      return x / (1 + std::exp(-2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Act::tanh:
      return std::tanh(x);
    case Act::softplus:
      return soft;
    case Act::mish:
      return x * std::tanh(soft);
    default:
      return x;
  }
}

// Below it the tail of gelu has no use for its last digits: the error is absolute.
double least_exact(Act act) {
  if (act == Act::gelu || act == Act::gelu_tanh) return 0.1;
  return act == Act::hard_sigmoid || act == Act::hard_swish ? 1.0 : 1e-29;
}

// Over the whole range, against double.
TEST(activations_are_near_those_in_double) {
  std::vector<float> x;
  for (float v = -120.0f; v <= 120.0f; v += 0.0173f) x.push_back(v);
  for (const float v : {0.0f, -0.0f, 1e-30f, -1e-30f, 1e30f, -1e30f}) x.push_back(v);
  const int n = static_cast<int>(x.size());
  for (const HostKernels* be : all_isas()) {
    for (const Act act : kFusedActs) {
      std::vector<float> y(n);
      EltwiseArgs a;
      a.act = act;
      a.numbers = numbers_for(act);
      a.n = 1;
      a.c = n;
      a.g[0] = {1, 1, n, 0, 0, n, n};
      a.data[0] = x.data();
      a.out = {a.g[0], y.data()};
      be->eltwise(a, 0, 1);
      double error = 0;
      for (int i = 0; i < n; ++i) {
        const double want = in_double(act, a.numbers, x[i]);
        error = std::max(error, std::abs(y[i] - want) / (std::abs(want) + least_exact(act)));
      }
      // 3 ulp, but absolute where the result is tiny: the exponential overflows early.
      CHECK(error < 6 * kUnit);
    }
  }
}

TEST(frames_in_and_out) {
  for (int i = 0; i < 90; ++i) {
    const int c = pick_of({1, 3, 3, 4, 5, 17, 20, 34}), h = pick(1, 6), w = pick(1, 70),
              pitch = w * c + pick(0, 9);
    std::vector<uint8_t> bytes(h * pitch);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(pick(0, 255));
    std::vector<float> scale(c), shift(c), floats(c * h * w);
    for (int k = 0; k < c; ++k) scale[k] = value() / 255, shift[k] = value();
    for (float& v : floats) v = value();
    int64_t strides[3] = {h * w, w, 1};
    if (i % 2) strides[0] = 1, strides[1] = w * c, strides[2] = c;
    const Map empty = make_output(h, w, c, pick_of({0, 0, 1, 16}));
    Map u1 = empty, f1 = empty;
    ref_kernels().load_u8(bytes.data(), pitch, scale.data(), shift.data(), u1.view());
    ref_kernels().load_f32(floats.data(), strides, f1.view());
    std::vector<float> stored1(c * h * w);
    ref_kernels().store_f32(f1.g, f1.data(), stored1.data(), 0, f1.g.h);
    for (const HostKernels* be : all_isas()) {
      Map u = empty, f = empty;
      be->load_u8(bytes.data(), pitch, scale.data(), shift.data(), u.view());
      be->load_f32(floats.data(), strides, f.view());
      CHECK(worst(u, u1, 0, c, 4 * kUnit) <= 1);
      CHECK(worst(f, f1, 0, c, 1e-30) <= 1);
      CHECK(canaries_alive(u, 0, c));
      CHECK(canaries_alive(f, 0, c));
      std::vector<float> stored(c * h * w, kCanary);
      be->store_f32(f.g, f.data(), stored.data(), 0, f.g.h);
      CHECK(same_bits(stored, stored1));
      const int middle = h / 2;  // some rows leave the others as they are
      std::fill(stored.begin(), stored.end(), kCanary);
      be->store_f32(f.g, nullptr, stored.data(), 0, middle);
      for (int64_t k = 0; k < int64_t{c} * h * w; ++k) {
        const bool above = k / w % h < middle;
        CHECK_EQ(stored[static_cast<size_t>(k)], above ? 0.0f : kCanary);
      }
      be->store_f32(f.g, f.data(), stored.data(), middle, h);
      be->store_f32(f.g, f.data(), stored.data(), 0, middle);
      CHECK(same_bits(stored, stored1));
      be->store_f32(f.g, nullptr, stored.data(), 0, f.g.h);
      CHECK(same_bits(stored, std::vector<float>(stored.size(), 0.0f)));
    }
  }
}
