// SPDX-License-Identifier: Apache-2.0
// Everything but convolutions of plans over 8 bits, of every instruction set, against the reference
// on random shapes and kinds of maps.
#include <functional>

#include "byte_maps.hpp"
#include "check.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

// Runs the same work on the reference and on every table; `work` writes channels [c_lo, c_hi), and
// may write those that fill up the pixels. steps, bound: how far results may lie apart in maps of 8
// bits and of f32.
void compare(const ByteMap& start, int c_lo, int c_hi, double steps, double bound,
             const std::function<void(const HostKernels&, const MapView&)>& work) {
  ByteMap expected = start;
  work(ref_kernels(Dtype::int8), expected.view());
  CHECK(rest_unchanged(start, expected, c_lo, c_hi));
  const int written = c_hi == start.g.c ? static_cast<int>(start.g.pixel_stride) : c_hi;
  for (const HostKernels* be : all_int8()) {
    ByteMap got = start;
    work(*be, got.view());
    const double error = worst(got, expected, c_lo, c_hi, bound);
    const double allowed = is_8_bit(start.g.dtype) ? steps : 1.0;
    if (!(error <= allowed)) std::fprintf(stderr, "%s: %g\n", be->isa, error);
    CHECK(error <= allowed);
    CHECK(rest_unchanged(start, got, c_lo, written));
  }
}

ByteMap input(int h, int w, int c, int halo, int pad, Kind kind) {
  return stored(make_input(h, w, c, halo, halo, pad), kind);
}
ByteMap output(int h, int w, int c, int pad, Kind kind) {
  return stored(make_output(h, w, c, pad), kind);
}

constexpr double kTiny = 1e-30;
constexpr int kChannels[] = {1, 3, 8, 13, 16, 17, 40, 64, 70, 130};
int any_channels() { return kChannels[pick(0, 9)]; }

}  // namespace

TEST(pools_over_8_bits) {
  for (int i = 0; i < 200; ++i) {
    PoolArgs a;
    a.is_max = i % 3 != 0;
    a.count_include_pad = pick(0, 1) == 1;
    a.kt = pick(1, 3), a.kh = pick(1, 3), a.kw = pick(1, 4);
    if (i % 20 == 1) a.kt = 3, a.kh = 5, a.kw = 5;  // more taps than a table has
    if (i % 13 == 0) a.kt = 3, a.kh = 22;           // more rows than a table has
    a.sh = pick(1, 2), a.sw = pick(1, 3);
    a.ph = a.kh / 2, a.pw = a.kw / 2;
    a.dh = a.dw = i % 17 == 0 && a.kh < 6 ? 2 : 1;
    const bool large = i % 19 == 0;  // more than kernels keep at once
    const int h = large ? pick(35, 45) : pick(5, 9), w = large ? pick(60, 290) : pick(7, 15);
    const int c = any_channels(), pad = pick_of({0, 3, 64});
    const Kind kind = any_kind(), out_kind = pick(0, 1) == 0 ? kind : any_kind();
    std::vector<ByteMap> maps;
    std::vector<const float*> taps;
    for (int t = 0; t < a.kt; ++t) {
      maps.push_back(input(h, w, c, 0, pad, kind));
      maps.back().g.row_stride = maps[0].g.row_stride;
      maps.back().memory.resize(maps.back().memory.size() + 4096);
    }
    const int missing = pick(0, 2) == 0 ? pick(0, a.kt) : 0;
    for (int t = 0; t < a.kt; ++t) taps.push_back(t < missing ? nullptr : maps[t].data());
    if (kind.dtype == Dtype::f32) {  // no NaN that only one of them reads
      for (ByteMap& m : maps) {
        for (size_t at = 0; at + 4 <= m.memory.size(); at += 4) {
          const float v = value();
          std::memcpy(m.memory.data() + at, &v, 4);
        }
      }
    }
    a.seg = {maps[0].g, taps.data()};
    a.out_c0 = pick_of({0, 3, 16});
    const int oh = (h + 2 * a.ph - a.dh * (a.kh - 1) - 1) / a.sh + 1;
    const int ow = (w + 2 * a.pw - a.dw * (a.kw - 1) - 1) / a.sw + 1;
    const int behind = pick_of({0, 4});
    const bool exact = a.is_max || is_8_bit(kind.dtype);
    compare(output(oh, ow, a.out_c0 + c + behind, pick_of({0, 5, 64}), out_kind), a.out_c0,
            a.out_c0 + c, exact ? 0.0 : 1.01, exact ? kTiny : 40 * kUnit,
            [&](const HostKernels& be, const MapView& out) {
              a.out = out;
              in_parts(oh, [&](int lo, int hi) { be.pool(a, lo, hi); });
            });
  }
}

TEST(elementwise_ops_over_8_bits) {
  for (int i = 0; i < 300; ++i) {
    EltwiseArgs a;
    a.op = static_cast<EltOp>(i % 7);
    give_act(a, i % 2 == 0 ? pick(0, kLastAct) : pick_of({0, 1, 4}));
    a.n = a.op == EltOp::copy ? 1 : a.op == EltOp::scale ? 3 : 2;
    a.c = any_channels();
    const int h = pick(1, 5), w = pick(1, 9), pad = pick_of({0, 3, 16});
    std::vector<ByteMap> maps;
    std::vector<float> weights[2];
    for (int k = 0; k < a.n; ++k) {
      if (k > 0 && (a.op == EltOp::scale || a.op == EltOp::prelu)) {
        for (int c = 0; c < a.c; ++c) weights[k - 1].push_back(value());
        a.g[k] = {1, 1, a.c, 0, 0, a.c, a.c};
        maps.emplace_back();
        continue;
      }
      const int kind = k == 0 ? 0 : pick(0, 4);  // 1: a pixel for all, 2: a channel for all
      a.c0[k] = kind == 2 || pick(0, 1) == 0 ? 0 : pick(0, 4);
      const int c = kind == 2 ? 1 : a.c + a.c0[k];
      maps.push_back(input(kind == 1 ? 1 : h, kind == 1 ? 1 : w, c, pick(0, 1), pad, any_kind()));
      a.g[k] = maps.back().g;
    }
    for (int k = 0; k < a.n; ++k) {
      const bool floats = maps[static_cast<size_t>(k)].memory.empty();
      a.data[k] = floats ? weights[k - 1].data() : maps[static_cast<size_t>(k)].data();
    }
    a.out_c0 = pick_of({0, 0, 5});
    const bool limited = a.act == Act::none || a.act == Act::relu || a.act == Act::clamp;
    const bool exact = limited && a.op != EltOp::scale;
    compare(output(h, w, a.out_c0 + a.c, pad, any_kind()), a.out_c0, a.out_c0 + a.c,
            exact ? 0.0 : 1.01, exact ? kTiny : 8 * kUnit,
            [&](const HostKernels& be, const MapView& out) {
              a.out = out;
              for (int y = h - 1; y >= 0; --y) be.eltwise(a, y, y + 1);
            });
  }
}

TEST(resampling_and_means_over_8_bits) {
  for (int i = 0; i < 100; ++i) {
    const Resampled size(i);
    const int h = size.h, w = size.w, oh = size.oh, ow = size.ow;
    const int c = any_channels(), c0 = pick_of({0, 2, 16});
    const Kind kind = any_kind(), out_kind = i % 3 == 0 ? kind : any_kind();
    ByteMap in = input(h, w, c, 1, pick_of({0, 3}), kind);
    const float* data = pick(0, 9) == 0 ? nullptr : in.data();
    const Interp mode = i % 2 == 0 ? Interp::nearest : Interp::bilinear;
    compare(output(oh, ow, c0 + c, 1, out_kind), c0, c0 + c, 0.0, kTiny,
            [&](const HostKernels& be, const MapView& out) {
              const UpsampleArgs u{mode, in.g, data, out, c0, i % 4 == 1};
              in_parts(oh, [&](int lo, int hi) { be.upsample(u, lo, hi); });
            });
    const float* taps[2] = {pick(0, 1) ? nullptr : in.data(), in.data()};
    const bool exact = is_8_bit(kind.dtype);
    compare(output(1, 1, c0 + c, 2, out_kind), c0, c0 + c, exact ? 0.0 : 1.01,
            exact ? kTiny : 130 * kUnit, [&](const HostKernels& be, const MapView& out) {
              be.global_pool({2, {in.g, taps}, out, c0});
            });
  }
}

TEST(moves_over_8_bits_are_exact) {
  for (int i = 0; i < 80; ++i) {
    MoveArgs a;
    a.op = static_cast<MoveOp>(i % 4);
    a.mode = static_cast<PadMode>(pick(0, 2));
    a.value = value();
    a.block = 2;
    const int h = 2 * pick(1, 4), w = 2 * pick(2, 5), first = 4 * pick(1, 9),
              second = 4 * pick(1, 5), all = first + second;
    const Kind kind = any_kind(), out_kind = i % 3 == 0 ? kind : any_kind();
    ByteMap maps[2] = {input(h, w, first, 0, pick_of({0, 3}), kind),
                       input(h, w, second, 1, 0, any_kind())};
    const float* taps[2] = {maps[0].data(), pick(0, 4) == 0 ? nullptr : maps[1].data()};
    const SegmentView segs[2] = {{maps[0].g, &taps[0]}, {maps[1].g, &taps[1]}};
    a.segs = segs;
    a.n_segs = 2;
    int oh = h, ow = w, oc = all;
    std::vector<int> index;
    if (a.op == MoveOp::pad) {
      a.top = pick(-1, 1), a.left = pick(-1, 1);
      oh = h + a.top, ow = w + a.left;
    } else if (a.op == MoveOp::select) {
      for (int k = 0; k < 23; ++k) index.push_back(pick(0, all - 1));
      oc = 23;
    } else if (a.op == MoveOp::depth_to_space) {
      oh = 2 * h, ow = 2 * w, oc = all / 4;
    } else {
      oh = h / 2, ow = w / 2, oc = 4 * all;
    }
    a.index = index.data();
    compare(output(oh, ow, oc, 3, out_kind), 0, oc, 0.0, kTiny,
            [&](const HostKernels& be, const MapView& out) {
              a.out = out;
              for (int y = oh - 1; y >= 0; --y) be.move(a, y, y + 1);
            });
  }
}

// Outputs, whatever a map stores: planes of floats.
TEST(planes_of_maps_of_8_bits) {
  for (int i = 0; i < 90; ++i) {
    const int h = pick(1, 5), w = pick(1, 40), c = pick_of({1, 2, 4, 9, 16, 17, 34, 50});
    ByteMap in = input(h, w, c, pick(0, 2), pick_of({0, 3, 16}), any_kind());
    std::vector<float> expected(static_cast<size_t>(h) * w * c), got(expected.size());
    ref_kernels(Dtype::int8).store_f32(in.g, in.data(), expected.data(), 0, in.g.h);
    for (const HostKernels* be : all_int8()) {
      std::fill(got.begin(), got.end(), kCanary);
      be->store_f32(in.g, in.data(), got.data(), 0, in.g.h);
      CHECK(same_bits(got, expected));
    }
  }
}
