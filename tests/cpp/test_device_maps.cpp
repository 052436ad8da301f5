// SPDX-License-Identifier: Apache-2.0
// Moves of values and norms on a device, on the shim: the reference backend's results rounded once,
// with the same bits in any tile, by the plain and by the fast kernel.
#include "check.hpp"
#include "device_op.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

// Pieces of one source each; some do not exist.
template <pv_dtype D>
void add_pieces(DeviceOp<D>& d, int channels) {
  d.op.in_c = channels;
  for (int c0 = 0; c0 < channels;) {
    const int n = pick(0, 2) == 0 ? channels - c0 : std::min(channels - c0, pick(1, 20));
    const int before = pick_of({0, 0, 8, 3}), first = static_cast<int>(d.sources.size());
    d.add_source(d.add_value(d.op.in_h, d.op.in_w, before + n + pick_of({0, 5})), before,
                 pick(0, 4) != 0);
    d.pieces.push_back({c0, n, first, 1});
    c0 += n;
  }
  d.op.n_pieces = static_cast<int>(d.pieces.size());
}

// The pieces as the segments of the reference backend.
template <pv_dtype D>
class Operand {
 public:
  explicit Operand(const DeviceOp<D>& d) {
    for (const pv_piece& piece : d.pieces) taps_.push_back(d.source_data(piece.source0));
    for (size_t i = 0; i < d.pieces.size(); ++i) {
      MapGeometry g = d.host[d.sources[d.pieces[i].source0].value].geometry();
      g.c = d.pieces[i].channels;
      segments_.push_back({g, &taps_[i]});
    }
  }
  const std::vector<SegmentView>& segments() const { return segments_; }

 private:
  std::vector<const float*> taps_;
  std::vector<SegmentView> segments_;
};

template <pv_dtype D>
void check_all(DeviceOp<D>& d, const std::vector<float>& expected, double bound) {
  const pv_op& op = d.op;
  const std::vector<float> first = d.run(kPlainTiles, {op.out_h, op.out_w, op.out_c});
  for (const Kernel kernel : {kPlainTiles, kTiles, kTiles}) {
    CHECK(same_bits(d.run(kernel, any_tile(op.out_h, op.out_w, op.out_c)), first));
  }
  CHECK(close<D>(first, expected, bound));
}

template <pv_dtype D>
void check_move(DeviceOp<D>& d, MoveArgs a, int h, int w, int c) {
  d.op.out_h = h, d.op.out_w = w;
  d.set_out(h, w, c, pick_of({0, 0, 8, 5}), pick_of({0, 3}));
  const Operand<D> in(d);
  HostValue expected{h, w, c, std::vector<float>(static_cast<size_t>(h) * w * c)};
  a.segs = in.segments().data(), a.n_segs = static_cast<int>(in.segments().size());
  a.out = {expected.geometry(), expected.elements.data()};
  ref_kernels().move(a, 0, h);
  for (float& v : expected.elements) v = rounded<pv::storage<D>>(v);
  check_all(d, expected.elements, 0.0);
}

template <pv_dtype D>
void check_pad(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  MoveArgs a;
  a.mode = static_cast<PadMode>(pick(0, 2));
  const int least = a.mode == PadMode::zeros ? -2 : 0;
  d.op.kind = PV_PAD, d.op.variant = static_cast<int>(a.mode);
  d.op.in_h = pick(4, 6), d.op.in_w = pick(4, 7);
  d.op.ph = a.top = pick(least, 3), d.op.pw = a.left = pick(least, 3);
  d.op.floats = 2 * pick(0, 2);
  for (int i = 0; i < d.op.floats + 2; ++i) d.floats.push_back(value());
  a.value = d.floats[static_cast<size_t>(d.op.floats)];
  const int c = pick_of({1, 3, 16, 33});
  add_pieces(d, c);
  check_move(d, a, d.op.in_h + a.top + pick(0, 3), d.op.in_w + a.left + pick(0, 3), c);
}

template <pv_dtype D>
void check_blocks(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  MoveArgs a;
  const int b = a.block = pick(1, 3), h = pick(1, 3), w = pick(1, 4), c = pick_of({1, 3, 9});
  d.op.sh = d.op.sw = b;
  if (pick(0, 1) == 0) {
    a.op = MoveOp::depth_to_space, d.op.kind = PV_DEPTH_TO_SPACE;
    d.op.in_h = h, d.op.in_w = w;
    add_pieces(d, c * b * b);
    return check_move(d, a, h * b, w * b, c);
  }
  a.op = MoveOp::space_to_depth, d.op.kind = PV_SPACE_TO_DEPTH;
  d.op.in_h = h * b, d.op.in_w = w * b;
  add_pieces(d, c);
  check_move(d, a, h, w, c * b * b);
}

template <pv_dtype D>
void check_norm(int specials) {
  DeviceOp<D> d;
  d.specials = specials;
  const bool layer = pick(0, 1) == 0;
  d.op.kind = layer ? PV_LAYER_NORM : PV_GROUP_NORM;
  d.op.in_h = d.op.out_h = pick(1, 5), d.op.in_w = d.op.out_w = pick(1, 6);
  const int each = pick_of({1, 3, 8, 20});
  const int groups = d.op.groups = layer ? 1 : pick(1, 4), c = each * groups;
  d.op.act = pick(0, 3);
  add_pieces(d, c);
  d.set_out(d.op.out_h, d.op.out_w, c, pick_of({0, 0, 5}), pick_of({0, 3}));
  d.op.floats = 2 * pick(0, 2);
  for (int i = 0; i < d.op.floats + 2 * c; ++i) d.floats.push_back(value());
  d.floats.push_back(1e-3f), d.floats.push_back(0.0f);
  HostValue expected{d.op.out_h, d.op.out_w, c,
                     std::vector<float>(static_cast<size_t>(d.op.out_h) * d.op.out_w * c)};
  const MapView out{expected.geometry(), expected.elements.data()};
  int c0 = 0;
  const Operand<D> in(d);
  for (const SegmentView& s : in.segments()) {
    EltwiseArgs copy;
    copy.n = 1, copy.g[0] = s.g, copy.data[0] = s.taps[0], copy.c = s.g.c;
    copy.out = out, copy.out_c0 = c0;
    ref_kernels().eltwise(copy, 0, d.op.out_h);
    c0 += s.g.c;
  }
  const float* weight = d.floats.data() + d.op.floats;
  const Act act = std::vector<Act>{Act::none, Act::relu, Act::silu, Act::sigmoid}[d.op.act];
  const NormArgs args{out, groups, 1e-3, weight, weight + c, act};
  if (layer) {
    ref_kernels().layer_norm(args, 0, d.op.out_h);
  } else {
    ref_kernels().group_norm(args, 0, groups);
  }
  check_all(d, expected.elements, 2000 * kUnit);
}

}  // namespace

TEST(device_padding_is_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 45; ++i) check_pad<dtype.value>(i % 3);
  });
}

TEST(device_pixels_to_channels_and_back_are_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 45; ++i) check_blocks<dtype.value>(i % 3);
  });
}

TEST(device_norms_are_the_references) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 45; ++i) check_norm<dtype.value>(i % 3);
  });
}
