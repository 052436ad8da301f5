// SPDX-License-Identifier: Apache-2.0
// The kernels of a device that work channel by channel, and the plain ones, on the shim: the
// reference backend's results rounded once, whatever the tile, for every dtype.
#include "check.hpp"
#include "device_op.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

constexpr double kFew = 4 * kUnit;  // a few units of f32's last place

int window_out(int in, int k, int s, int p, int d) {
  return (in + 2 * p - (k - 1) * d - 1) / s + 1;
}

// Windows that leave at least one output.
void random_window(pv_op& op) {
  op.kt = pick(1, 3);
  op.in_h = pick(3, 9), op.in_w = pick(3, 9);
  do {
    op.kh = pick(1, 3), op.kw = pick(1, 3), op.sh = pick(1, 2), op.sw = pick(1, 2);
    op.dh = pick(1, 2), op.dw = pick(1, 2), op.ph = pick(0, op.kh / 2), op.pw = pick(0, op.kw / 2);
    op.out_h = window_out(op.in_h, op.kh, op.sh, op.ph, op.dh);
    op.out_w = window_out(op.in_w, op.kw, op.sw, op.pw, op.dw);
  } while (op.out_h < 1 || op.out_w < 1);
}

// `taps` sources a piece, of channels somewhere inside values of this size.
template <pv_dtype D>
void add_pieces(DeviceOp<D>& d, int channels, int taps) {
  d.op.in_c = channels;
  for (int c0 = 0; c0 < channels;) {
    const int n = pick(0, 2) == 0 ? channels - c0 : std::min(channels - c0, pick(1, 20));
    const int before = pick_of({0, 0, 8, 3}), all = before + n + pick_of({0, 0, 5});
    const int first = static_cast<int>(d.sources.size());
    for (int tap = 0; tap < taps; ++tap) {
      d.add_source(d.add_value(d.op.in_h, d.op.in_w, all), before, pick(0, 4) != 0);
    }
    d.pieces.push_back({c0, n, first, taps});
    c0 += n;
  }
  d.op.n_pieces = static_cast<int>(d.pieces.size());
}

template <pv_dtype D>
void set_out(DeviceOp<D>& d, int c) {
  d.set_out(d.op.out_h, d.op.out_w, c, pick_of({0, 0, 8, 5}), pick_of({0, 3, 8}));
}

// Runs the plain and the fast kernel, twice each; returns what they agree on.
template <pv_dtype D>
std::vector<float> agreed(DeviceOp<D>& d) {
  const pv_op& op = d.op;
  std::vector<float> first = d.run(kPlainTiles, {op.out_h, op.out_w, op.out_c});
  for (const Kernel kernel : {kPlainTiles, kTiles, kTiles}) {
    CHECK(same_bits(d.run(kernel, any_tile(op.out_h, op.out_w, op.out_c)), first));
  }
  return first;
}

// A piece as the reference backend reads it.
template <pv_dtype D>
struct PieceView {
  std::vector<const float*> taps;
  SegmentView view;
  PieceView(const DeviceOp<D>& d, const pv_piece& piece) {
    for (int i = 0; i < piece.n_sources; ++i) taps.push_back(d.source_data(piece.source0 + i));
    view.g = d.host[d.sources[piece.source0].value].geometry();
    view.g.c = piece.channels;
  }
  SegmentView segment() {
    view.taps = taps.data();
    return view;
  }
};

// Dense outputs for the reference backend.
template <pv_dtype D>
HostValue expected_map(const DeviceOp<D>& d) {
  const pv_op& op = d.op;
  return {op.out_h, op.out_w, op.out_c,
          std::vector<float>(static_cast<size_t>(op.out_h) * op.out_w * op.out_c)};
}
MapView view_of(HostValue& v) { return {v.geometry(), v.elements.data()}; }

template <pv_dtype D>
void check_pool(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  random_window(d.op);
  d.op.kind = PV_POOL, d.op.variant = pick(0, 2);
  const int c = pick_of({1, 3, 8, 16, 40, 33});
  add_pieces(d, c, d.op.kt);
  set_out(d, c);
  const std::vector<float> got = agreed(d);
  HostValue expected = expected_map(d);
  const pv_op& op = d.op;
  for (const pv_piece& piece : d.pieces) {
    PieceView<D> seen(d, piece);
    ref_kernels().pool(
        {op.variant == PV_MAX, op.variant == PV_MEAN, op.kt, op.kh, op.kw, op.sh, op.sw, op.ph,
         op.pw, op.dh, op.dw, seen.segment(), view_of(expected), piece.c0},
        0, op.out_h);
  }
  CHECK(close<D>(got, expected.elements, op.variant == PV_MAX ? 0.0 : kFew));
}

void give_device_act(pv_op& op) {
  op.act = pick(0, kLastAct);
  const ActNumbers numbers = numbers_for(kFusedActs[op.act]);
  op.act_a = numbers.a, op.act_b = numbers.b;
}

template <pv_dtype D>
void check_eltwise(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  d.op.kind = PV_ELTWISE, d.op.variant = pick(0, 4), give_device_act(d.op);
  d.op.in_h = d.op.out_h = pick(1, 6), d.op.in_w = d.op.out_w = pick(1, 7);
  const int c = d.op.in_c = pick_of({1, 3, 8, 16, 40, 33});
  for (int c0 = 0; c0 < c;) {
    const int n = std::min(c - c0, pick(1, 40)), first = static_cast<int>(d.sources.size());
    const bool many = d.op.variant == PV_ADD || d.op.variant == PV_MUL;
    const int operands = d.op.variant == PV_COPY ? 1 : pick(2, many ? pick_of({2, 2, 16}) : 2);
    for (int k = 0; k < operands; ++k) {
      const bool one_pixel = pick(0, 4) == 0, one_channel = pick(0, 4) == 0;
      const int before = one_channel ? 0 : pick_of({0, 0, 8, 3});
      const int value = d.add_value(one_pixel ? 1 : d.op.in_h, one_pixel ? 1 : d.op.in_w,
                                    one_channel ? 1 : before + n);
      d.add_source(value, before, pick(0, 7) != 0, one_channel ? 0 : 1);
    }
    d.pieces.push_back({c0, n, first, operands});
    c0 += n;
  }
  d.op.n_pieces = static_cast<int>(d.pieces.size());
  set_out(d, c);
  const std::vector<float> got = agreed(d);
  HostValue expected = expected_map(d);
  for (const pv_piece& piece : d.pieces) {
    EltwiseArgs a;
    a.op = static_cast<EltOp>(d.op.variant), a.n = piece.n_sources, a.c = piece.channels;
    give_act(a, d.op.act);
    for (int k = 0; k < piece.n_sources; ++k) {
      const pv_source& s = d.sources[piece.source0 + k];
      a.g[k] = d.host[s.value].geometry();
      a.data[k] = d.source_data(piece.source0 + k);
      a.c0[k] = 0;  // data begins there
    }
    a.out = view_of(expected), a.out_c0 = piece.c0;
    ref_kernels().eltwise(a, 0, d.op.out_h);
  }
  CHECK(close<D>(got, expected.elements, kFew));
}

template <pv_dtype D>
void check_upsample(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  d.op.kind = PV_UPSAMPLE, d.op.variant = pick(0, 1);
  d.op.in_h = pick(1, 6), d.op.in_w = pick(1, 6);
  d.op.out_h = pick_of({d.op.in_h, 2 * d.op.in_h, 7}), d.op.out_w = pick_of({d.op.in_w, 9, 5});
  const int c = pick_of({1, 3, 8, 16, 33});
  add_pieces(d, c, 1);
  set_out(d, c);
  const std::vector<float> got = agreed(d);
  HostValue expected = expected_map(d);
  for (const pv_piece& piece : d.pieces) {
    PieceView<D> seen(d, piece);
    ref_kernels().upsample({d.op.variant == PV_NEAREST ? Interp::nearest : Interp::bilinear,
                            seen.view.g, seen.taps[0], view_of(expected), piece.c0},
                           0, d.op.out_h);
  }
  CHECK(close<D>(got, expected.elements, d.op.variant == PV_NEAREST ? 0.0 : kFew));
}

template <pv_dtype D>
void check_normalize(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  d.op.kind = PV_NORMALIZE, d.op.variant = pick(0, 1), give_device_act(d.op);
  d.op.in_h = d.op.out_h = pick(1, 6), d.op.in_w = d.op.out_w = pick(1, 6);
  const int c = pick_of({1, 3, 8, 16, 33});
  add_pieces(d, c, 1);
  set_out(d, c);
  d.op.floats = pick(0, 9);
  for (int i = 0; i < d.op.floats + 2 * c; ++i) d.floats.push_back(value());
  const std::vector<float> got = agreed(d);
  HostValue expected = expected_map(d);
  for (const pv_piece& piece : d.pieces) {
    PieceView<D> seen(d, piece);
    const float* scale = d.floats.data() + d.op.floats + piece.c0;
    EltwiseArgs a;
    a.op = d.op.variant == PV_PRELU ? EltOp::prelu : EltOp::scale;
    a.act = kFusedActs[d.op.act], a.numbers = numbers_for(a.act);
    a.n = d.op.variant == PV_PRELU ? 2 : 3, a.c = piece.channels;
    a.g[0] = seen.view.g, a.data[0] = seen.taps[0];
    for (int k = 1; k < 3; ++k) a.g[k] = {1, 1, a.c, 0, 0, a.c, a.c};
    a.data[1] = scale, a.data[2] = scale + c;
    a.out = view_of(expected), a.out_c0 = piece.c0;
    ref_kernels().eltwise(a, 0, d.op.out_h);
  }
  CHECK(close<D>(got, expected.elements, kFew));
}

// The reference backend's convolution of the op's pieces.
template <pv_dtype D>
HostValue reference_conv(const DeviceOp<D>& d, int groups, const std::vector<float>& weight) {
  const pv_op& op = d.op;
  const Act act = kFusedActs[op.act];
  std::vector<int> seg_c;
  std::vector<PieceView<D>> seen;
  for (const pv_piece& piece : d.pieces)
    seg_c.push_back(piece.channels), seen.emplace_back(d, piece);
  std::vector<SegmentView> segs;
  for (PieceView<D>& s : seen) segs.push_back(s.segment());
  const ConvShape s{op.in_h, op.in_w, op.in_c, op.out_h,     op.out_w,    op.out_c,        op.kt,
                    op.kh,   op.kw,   op.sh,   op.sw,        op.ph,       op.pw,           op.dh,
                    op.dw,   groups,  act,     seg_c.data(), op.n_pieces, numbers_for(act)};
  std::vector<float> packed(ref_kernels().conv_packed_floats(s));
  ref_kernels().conv_pack(s, weight.data(), d.floats.data() + op.floats, packed.data());
  HostValue expected = expected_map(d);
  ref_kernels().conv({&s, segs.data(), packed.data(), view_of(expected)}, 0, op.out_h);
  return expected;
}

// A convolution with plain weights, of the storage type.
template <pv_dtype D>
void check_conv(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  random_window(d.op);
  d.op.kind = PV_CONV, d.op.plain = 1, give_device_act(d.op), d.op.groups = pick_of({1, 1, 2, 5});
  add_pieces(d, d.op.groups * pick_of({1, 3, 8, 13}), d.op.kt);
  set_out(d, d.op.groups * pick_of({1, 3, 8}));
  const pv_op& op = d.op;
  const int terms = op.in_c / op.groups * op.kt * op.kh * op.kw;
  std::vector<float> weight;
  d.op.weights = pick(0, 2);
  d.weights.resize(d.op.weights * 16 / sizeof(pv::storage<D>) + op.out_c * terms);
  for (int i = 0; i < op.out_c * terms; ++i) {
    weight.push_back(rounded<pv::storage<D>>(value()));
    pv::store(d.weights.data() + d.weights.size() - op.out_c * terms + i, weight.back());
  }
  d.op.floats = pick(0, 3);
  for (int i = 0; i < d.op.floats + op.out_c; ++i) d.floats.push_back(value());
  CHECK(close<D>(agreed(d), reference_conv(d, op.groups, weight).elements, kFew * terms));
}

template <pv_dtype D>
void check_depthwise(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  random_window(d.op);
  d.op.kind = PV_DEPTHWISE, give_device_act(d.op);
  const int c = d.op.groups = pick_of({1, 3, 8, 16, 40, 33}), rounded_c = (c + 7) / 8 * 8;
  add_pieces(d, c, d.op.kt);
  set_out(d, c);
  const int places = d.op.kt * d.op.kh * d.op.kw;
  d.op.weights = pick(0, 2), d.op.floats = pick(0, 3);
  d.f32_weights.assign(d.op.weights * 4 + places * rounded_c, kNan);
  std::vector<float> weight;
  for (int i = 0; i < c * places; ++i) {
    weight.push_back(value());
    d.f32_weights[d.op.weights * 4 + i % places * rounded_c + i / places] = weight.back();
  }
  for (int i = 0; i < d.op.floats + c; ++i) d.floats.push_back(value());
  CHECK(close<D>(agreed(d), reference_conv(d, c, weight).elements, kFew * places));
}

}  // namespace

TEST(device_pools_are_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 60; ++i) check_pool<dtype.value>(i % 3);
  });
}

TEST(device_eltwise_is_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 72; ++i) check_eltwise<dtype.value>(i % 3);
  });
}

TEST(device_upsampling_is_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 60; ++i) check_upsample<dtype.value>(i % 3);
  });
}

TEST(device_normalisation_is_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 30; ++i) check_normalize<dtype.value>(i % 3);
  });
}

TEST(device_depthwise_convolutions_are_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 60; ++i) check_depthwise<dtype.value>(i % 3);
  });
}

TEST(device_plain_convolutions_are_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 60; ++i) check_conv<dtype.value>(i % 3);
  });
}
