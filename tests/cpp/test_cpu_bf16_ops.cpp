// SPDX-License-Identifier: Apache-2.0
// Everything but convolutions over bf16, of every instruction set, against the reference over bf16
// on random shapes.
#include <functional>

#include "check.hpp"
#include "half_maps.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

// Runs the same work on the reference and on every table; `work` writes channels [c_lo, c_hi).
void compare(const HalfMap& start, int c_lo, int c_hi, double ulps, double bound,
             const std::function<void(const HostKernels&, const MapView&)>& work) {
  HalfMap expected = start;
  work(ref_kernels(Dtype::bf16), expected.view());
  CHECK(rest_unchanged(start, expected, c_lo, c_hi));
  for (const HostKernels* be : all_bf16()) {
    HalfMap got = start;
    work(*be, got.view());
    const double error = worst(got, expected, c_lo, c_hi, ulps, bound);
    if (!(error <= 1)) std::fprintf(stderr, "%s: %g\n", be->isa, error);
    CHECK(error <= 1);
    CHECK(rest_unchanged(start, got, c_lo, c_hi));
  }
}

HalfMap input(int h, int w, int c, int halo, int pad) {
  return narrowed(make_input(h, w, c, halo, halo, pad));
}
HalfMap output(int h, int w, int c, int pad) { return narrowed(make_output(h, w, c, pad)); }

constexpr double kTiny = 1e-30;
constexpr int kChannels[] = {1, 3, 8, 13, 16, 17, 40, 64, 70, 200};
int any_channels() { return kChannels[pick(0, 9)]; }

// Of either sign: NaN, infinity, zero and the least numbers.
uint16_t special() {
  const int sign = pick(0, 1) << 15;
  return static_cast<uint16_t>(sign | pick_of({0x7fc0, 0x7f81, 0x7fff, 0x7f80, 0x7f80, 0, 0x80}));
}

}  // namespace

TEST(pools_over_bf16) {
  for (int i = 0; i < 120; ++i) {
    PoolArgs a;
    a.is_max = i % 3 != 0;
    a.count_include_pad = pick(0, 1) == 1;
    a.kt = pick(1, 3), a.kh = pick(1, 3), a.kw = pick(1, 4);
    if (i % 20 == 1) a.kt = 3, a.kh = 11;  // more rows than a table has
    a.sh = pick(1, 2), a.sw = pick(1, 3);
    a.ph = a.kh / 2, a.pw = a.kw / 2;
    a.dh = a.dw = i % 7 == 0 && a.kh < 6 ? 2 : 1;
    const bool large = i % 8 == 0;  // more than kernels keep at once
    const int h = large ? pick(35, 45) : pick(5, 9), w = large ? pick(60, 150) : pick(7, 15);
    const int c = any_channels();
    std::vector<HalfMap> maps;
    std::vector<const float*> taps;
    for (int t = 0; t < a.kt; ++t) maps.push_back(input(h, w, c, 0, 3));
    for (HalfMap& m : maps) m.g = maps[0].g;  // the same number of elements or more
    const int64_t most = maps[0].g.row_stride * h + 2 * kGuard;
    for (HalfMap& m : maps) m.memory.resize(static_cast<size_t>(most), 0);
    const int missing = pick(0, 2) == 0 ? pick(0, a.kt) : 0;
    for (int t = 0; t < a.kt; ++t) taps.push_back(t < missing ? nullptr : maps[t].data());
    const int rare = a.is_max && i % 2 == 0 ? pick_of({5, 60}) : 0;
    for (HalfMap& m : maps) {  // no NaN that only one of them reads
      for (uint16_t& bits : m.memory) {
        bits = rare > 0 && pick(0, rare) == 0 ? special() : bf16_bits(value());
      }
    }
    a.seg = {maps[0].g, taps.data()};
    a.out_c0 = pick_of({0, 3, 16});
    const int oh = (h + 2 * a.ph - a.dh * (a.kh - 1) - 1) / a.sh + 1;
    const int ow = (w + 2 * a.pw - a.dw * (a.kw - 1) - 1) / a.sw + 1;
    compare(output(oh, ow, a.out_c0 + c + 4, 5), a.out_c0, a.out_c0 + c, a.is_max ? 0.0 : 1.0,
            a.is_max ? kTiny : 40 * kUnit, [&](const HostKernels& be, const MapView& out) {
              a.out = out;
              in_parts(oh, [&](int lo, int hi) { be.pool(a, lo, hi); });
            });
  }
}

TEST(elementwise_ops_over_bf16) {
  for (int i = 0; i < 150; ++i) {
    EltwiseArgs a;
    a.op = static_cast<EltOp>(i % 7);
    give_act(a, pick(0, kLastAct));
    a.n = a.op == EltOp::copy ? 1 : a.op == EltOp::scale ? 3 : 2;
    a.c = any_channels();
    const int h = pick(1, 5), w = pick(1, 9);
    std::vector<HalfMap> maps;
    std::vector<float> weights[2];
    for (int k = 0; k < a.n; ++k) {
      if (k > 0 && (a.op == EltOp::scale || a.op == EltOp::prelu)) {
        for (int c = 0; c < a.c; ++c) weights[k - 1].push_back(value());
        a.g[k] = {1, 1, a.c, 0, 0, a.c, a.c};
        maps.emplace_back();
        continue;
      }
      const int kind = k == 0 ? 0 : pick(0, 3);  // 1: a pixel for all, 2: a channel for all
      a.c0[k] = kind == 2 || pick(0, 1) == 0 ? 0 : pick(0, 4);
      const int c = kind == 2 ? 1 : a.c + a.c0[k];
      maps.push_back(input(kind == 1 ? 1 : h, kind == 1 ? 1 : w, c, pick(0, 1), pick_of({0, 3})));
      a.g[k] = maps.back().g;
    }
    for (int k = 0; k < a.n; ++k) {
      const bool floats = maps[static_cast<size_t>(k)].memory.empty();
      a.data[k] = floats ? weights[k - 1].data() : maps[static_cast<size_t>(k)].data();
    }
    a.out_c0 = pick_of({0, 0, 5});
    // A quotient or a product may lie anywhere: its rounding in f32 is relative.
    compare(output(h, w, a.out_c0 + a.c, pick_of({0, 0, 4})), a.out_c0, a.out_c0 + a.c, 1.01,
            8 * kUnit, [&](const HostKernels& be, const MapView& out) {
              a.out = out;
              for (int y = h - 1; y >= 0; --y) be.eltwise(a, y, y + 1);
            });
  }
}

TEST(resampling_means_and_softmax_over_bf16) {
  for (int i = 0; i < 80; ++i) {
    const Resampled size(i);
    const int h = size.h, w = size.w, oh = size.oh, ow = size.ow;
    const int c = any_channels(), c0 = pick_of({0, 2, 16});
    HalfMap in = input(h, w, c, 1, pick_of({0, 3}));
    const float* data = pick(0, 9) == 0 ? nullptr : in.data();
    const Interp mode = i % 2 == 0 ? Interp::nearest : Interp::bilinear;
    compare(output(oh, ow, c0 + c, 1), c0, c0 + c, 0.0, kTiny,
            [&](const HostKernels& be, const MapView& out) {
              const UpsampleArgs u{mode, in.g, data, out, c0, i % 4 == 1};
              in_parts(oh, [&](int lo, int hi) { be.upsample(u, lo, hi); });
            });
    std::vector<float> scale(c), shift(c);
    for (int k = 0; k < c; ++k) scale[k] = value(), shift[k] = value();
    compare(output(h, w, c0 + c, 2), c0, c0 + c, 1.0, 4 * kUnit,
            [&](const HostKernels& be, const MapView& out) {
              const AffineArgs f{in.g, data, scale.data(), shift.data(), out, c0};
              for (int y = h - 1; y >= 0; --y) be.affine(f, y, y + 1);
            });
    const float* taps[2] = {pick(0, 1) ? nullptr : in.data(), in.data()};
    compare(output(1, 1, c0 + c, 2), c0, c0 + c, 1.0, 130 * kUnit,
            [&](const HostKernels& be, const MapView& out) {
              be.global_pool({2, {in.g, taps}, out, c0});
            });
    Map logits = make_input(h, w, c, 0, 0, 3);
    for (float& v : logits.memory) v *= 30;
    compare(narrowed(logits), 0, c, 1.0, 8 * kUnit, [&](const HostKernels& be, const MapView& out) {
      for (int y = h - 1; y >= 0; --y) be.softmax({out}, y, y + 1);
    });
  }
}

TEST(moves_over_bf16_are_exact) {
  for (int i = 0; i < 80; ++i) {
    MoveArgs a;
    a.op = static_cast<MoveOp>(i % 4);
    a.mode = static_cast<PadMode>(pick(0, 2));
    a.value = value();
    a.block = 2;
    const int h = 2 * pick(1, 4), w = 2 * pick(2, 5), first = 4 * pick(1, 9),
              second = 4 * pick(1, 5);
    HalfMap maps[2] = {input(h, w, first, 1, pick_of({0, 3})), input(h, w, second, 0, 0)};
    const float* taps[2] = {maps[0].data(), pick(0, 4) == 0 ? nullptr : maps[1].data()};
    const SegmentView segs[2] = {{maps[0].g, &taps[0]}, {maps[1].g, &taps[1]}};
    a.segs = segs, a.n_segs = 2;
    const int c = first + second;
    std::vector<int> index(static_cast<size_t>(pick(1, 30)));
    for (int& k : index) k = pick(0, c - 1);
    a.index = index.data();
    int oh = h, ow = w, oc = c;
    if (a.op == MoveOp::pad) a.top = 1, a.left = 1, oh += 2, ow += 2;
    if (a.op == MoveOp::select) oc = static_cast<int>(index.size());
    if (a.op == MoveOp::depth_to_space) oh *= 2, ow *= 2, oc /= 4;
    if (a.op == MoveOp::space_to_depth) oh /= 2, ow /= 2, oc *= 4;
    compare(output(oh, ow, oc, pick_of({0, 5})), 0, oc, 0.0, kTiny,
            [&](const HostKernels& be, const MapView& out) {
              a.out = out;
              for (int y = oh - 1; y >= 0; --y) be.move(a, y, y + 1);
            });
  }
}

TEST(norms_over_bf16) {
  for (int i = 0; i < 60; ++i) {
    NormArgs a;
    a.eps = 1e-3;
    const int each = pick_of({1, 3, 16, 20}), h = pick(1, 6), w = pick(2, 7);
    a.groups = pick(1, 5);
    const int c = each * a.groups;
    std::vector<float> weight(c), bias(c);
    for (int k = 0; k < c; ++k) weight[k] = value(), bias[k] = value();
    a.weight = weight.data(), a.bias = bias.data();
    const HalfMap start = input(h, w, c, 0, pick_of({0, 3}));
    compare(start, 0, c, 1.0, 2e-4, [&](const HostKernels& be, const MapView& out) {
      a.out = out;
      be.group_norm(a, 0, a.groups);
    });
    compare(start, 0, c, 1.0, 2e-4, [&](const HostKernels& be, const MapView& out) {
      a.out = out;
      for (int y = h - 1; y >= 0; --y) be.layer_norm(a, y, y + 1);
    });
  }
}

TEST(bytes_over_bf16) {
  for (int i = 0; i < 40; ++i) {
    const int c = pick_of({1, 3, 3, 4, 20}), h = pick(1, 6), w = pick(1, 70),
              pitch = w * c + pick(0, 9);
    std::vector<uint8_t> bytes(static_cast<size_t>(h) * pitch);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(pick(0, 255));
    std::vector<float> scale(c), shift(c);
    for (int k = 0; k < c; ++k) scale[k] = value() / 255, shift[k] = value();
    compare(output(h, w, c, pick_of({0, 0, 1, 16})), 0, c, 1.0, 4 * kUnit,
            [&](const HostKernels& be, const MapView& out) {
              be.load_u8(bytes.data(), pitch, scale.data(), shift.data(), out);
            });
  }
}

// Outputs, whatever a map stores: planes of floats.
TEST(planes_of_maps_of_bf16) {
  for (int i = 0; i < 90; ++i) {
    const int h = pick(1, 5), w = pick(1, 40), c = pick_of({1, 2, 4, 9, 16, 17, 34, 50});
    HalfMap in = input(h, w, c, pick(0, 2), pick_of({0, 3, 16}));
    std::vector<float> expected(static_cast<size_t>(h) * w * c), got(expected.size());
    ref_kernels(Dtype::bf16).store_f32(in.g, in.data(), expected.data(), 0, in.g.h);
    for (const HostKernels* be : all_bf16()) {
      std::fill(got.begin(), got.end(), kCanary);
      be->store_f32(in.g, in.data(), got.data(), 0, in.g.h);
      CHECK(same_bits(got, expected));
    }
  }
}
