// SPDX-License-Identifier: Apache-2.0
// Heads on a device, whose sums several threads share: the mean over a map and softmax. Plain and
// fast kernels add in different orders; both are the reference backend's results rounded once, and
// the fast ones give the same bits in any tile.
#include "check.hpp"
#include "device_op.hpp"
#include "kernels/activation.cuh"

using namespace pvnet;
using namespace pvnet::test;

namespace {

// Pieces of `channels` channels, `taps` sources each.
template <pv_dtype D>
void add_pieces(DeviceOp<D>& d, int channels, int taps) {
  d.op.in_c = channels;
  for (int c0 = 0; c0 < channels;) {
    const int n = pick(0, 2) == 0 ? channels - c0 : std::min(channels - c0, pick(1, 50));
    const int before = pick_of({0, 0, 8, 3}), first = static_cast<int>(d.sources.size());
    for (int tap = 0; tap < taps; ++tap) {
      d.add_source(d.add_value(d.op.in_h, d.op.in_w, before + n), before, pick(0, 3) != 0);
    }
    d.pieces.push_back({c0, n, first, taps});
    c0 += n;
  }
  d.op.n_pieces = static_cast<int>(d.pieces.size());
  d.set_out(d.op.out_h, d.op.out_w, channels, pick_of({0, 0, 5}), pick_of({0, 3}));
}

// Element (y, x, c) of source number `tap` of the piece that has channel c; 0 where it is missing.
template <pv_dtype D>
float operand(const DeviceOp<D>& d, int tap, int y, int x, int c) {
  for (const pv_piece& piece : d.pieces) {
    if (c >= piece.c0 + piece.channels) continue;
    const int source = piece.source0 + tap;
    const float* data = d.source_data(source);
    const MapGeometry g = d.host[d.sources[source].value].geometry();
    return data == nullptr ? 0.0f : data[y * g.row_stride + x * g.pixel_stride + c - piece.c0];
  }
  return kNan;
}

// All operands of one tap, side by side.
template <pv_dtype D>
std::vector<float> dense(const DeviceOp<D>& d, int tap) {
  std::vector<float> all;
  for (int y = 0; y < d.op.in_h; ++y) {
    for (int x = 0; x < d.op.in_w; ++x) {
      for (int c = 0; c < d.op.in_c; ++c) all.push_back(operand(d, tap, y, x, c));
    }
  }
  return all;
}

template <pv_dtype D>
void check_both(DeviceOp<D>& d, const std::vector<float>& expected, double bound) {
  const pv_op& op = d.op;
  CHECK(close<D>(d.run(kPlainTiles, any_tile(op.out_h, op.out_w, op.out_c)), expected, bound));
  const std::vector<float> fast = d.run(kTiles, {op.out_h, op.out_w, op.out_c});
  CHECK(close<D>(fast, expected, bound));
  for (int i = 0; i < 2; ++i) {
    CHECK(same_bits(d.run(kTiles, any_tile(op.out_h, op.out_w, op.out_c)), fast));
  }
}

template <pv_dtype D>
void check_global_pool(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  d.op.kind = PV_GLOBAL_POOL;
  d.op.in_h = pick(1, 13), d.op.in_w = pick(1, 13), d.op.out_h = d.op.out_w = 1;
  d.op.kt = pick(1, 4);
  add_pieces(d, pick_of({1, 3, 8, 40, 70, 96}), d.op.kt);
  const MapGeometry g{
      d.op.in_h, d.op.in_w, d.op.in_c, 0, 0, d.op.in_c, int64_t{d.op.in_c} * d.op.in_w};
  std::vector<std::vector<float>> taps;
  std::vector<const float*> pointers;
  for (int tap = 0; tap < d.op.kt; ++tap) taps.push_back(dense(d, tap));
  for (const std::vector<float>& tap : taps) pointers.push_back(tap.data());
  std::vector<float> expected(d.op.out_c);
  const MapView out{{1, 1, d.op.out_c, 0, 0, d.op.out_c, d.op.out_c}, expected.data()};
  ref_kernels().global_pool({d.op.kt, {g, pointers.data()}, out, 0});
  check_both(d, expected, 16 * kUnit);
}

template <pv_dtype D>
void check_softmax(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  d.op.kind = PV_SOFTMAX;
  d.op.in_h = d.op.out_h = pick(1, 3), d.op.in_w = d.op.out_w = pick(1, 4);
  add_pieces(d, pick_of({1, 3, 10, 40, 100, 133}), 1);
  std::vector<float> expected = dense(d, 0);
  const MapGeometry g{
      d.op.in_h, d.op.in_w, d.op.in_c, 0, 0, d.op.in_c, int64_t{d.op.in_c} * d.op.in_w};
  ref_kernels().softmax({{g, expected.data()}}, 0, d.op.in_h);
  check_both(d, expected, 16 * kUnit);
}

}  // namespace

TEST(device_global_pools_are_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 45; ++i) check_global_pool<dtype.value>(i % 3);
  });
}

TEST(device_softmax_is_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 45; ++i) check_softmax<dtype.value>(i % 3);
  });
}

TEST(device_exp_is_within_two_units) {
  for (int i = 0; i < 200000; ++i) {
    const float x = -104.0f + static_cast<float>(i) * 0.00096f;
    const double exact = std::exp(static_cast<double>(x));
    const double unit = std::max(std::ldexp(1.0, -149), exact * 2 * kUnit);
    if (exact < 3.4e38) CHECK(std::abs(pv::exp_f32(x) - exact) <= 2 * unit);
  }
  CHECK(pv::exp_f32(0.0f) == 1.0f);
  CHECK(std::isinf(pv::exp_f32(88.8f)) && std::isinf(pv::exp_f32(HUGE_VALF)));
  CHECK(pv::exp_f32(-104.0f) == 0.0f && pv::exp_f32(-HUGE_VALF) == 0.0f);
  CHECK(std::isnan(pv::exp_f32(kNan)));
}

TEST(every_tile_that_runs_is_in_the_trace) {
  DeviceOp<PV_F32> d;
  d.op.kind = PV_SOFTMAX;
  d.op.in_h = d.op.out_h = 3, d.op.in_w = d.op.out_w = 4;
  add_pieces(d, 8, 1);
  d.records.resize(16, {-1, -1, -1, -1, -1, -1});
  d.run(kTiles, {1, 2, 8});
  std::vector<bool> seen(12);  // 2 rows of 6 tiles; one of the rows is frozen
  for (const pv_record& r : d.records) {
    if (r.op < 0) continue;
    CHECK(r.op == 0 && r.row == 0 && r.begin_ns <= r.end_ns && r.sm >= 0);
    CHECK(r.tile >= 0 && r.tile < 12 && !seen[r.tile]);
    seen[r.tile] = true;
  }
  CHECK_EQ(std::count(seen.begin(), seen.end(), true), 6);
  d.records.assign(4, {-1, -1, -1, -1, -1, -1});  // more tiles than room
  d.run(kTiles, {1, 2, 8});
  for (const pv_record& r : d.records) CHECK_EQ(r.op, 0);
}
