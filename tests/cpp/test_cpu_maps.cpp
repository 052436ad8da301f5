// SPDX-License-Identifier: Apache-2.0
// Moves of values and norms, of every instruction set of the cpu backend, against the reference
// backend on random shapes.
#include <algorithm>
#include <utility>

#include "check.hpp"
#include "kernel_maps.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

// One to three segments, some of them missing, that together have these channels.
class Operand {
 public:
  Operand(int h, int w, int channels) {
    while (channels > 0) {
      const int c = maps_.size() == 2 || pick(0, 2) == 0 ? channels : pick(1, channels);
      maps_.push_back(make_input(h, w, c, pick(0, 2), pick(0, 1), pick_of({0, 3, 16})));
      channels -= c;
    }
    for (Map& m : maps_) {
      data_.push_back(pick(0, 5) == 0 ? nullptr : m.data());
      taps_.push_back({data_.back()});
    }
    for (size_t i = 0; i < maps_.size(); ++i) segments_.push_back({maps_[i].g, &taps_[i]});
  }
  const SegmentView* segments() const { return segments_.data(); }
  int count() const { return static_cast<int>(segments_.size()); }

 private:
  std::vector<Map> maps_;
  std::vector<const float*> data_, taps_;
  std::vector<SegmentView> segments_;
};

void check_move(MoveArgs a, const Operand& in, int h, int w, int c) {
  a.segs = in.segments(), a.n_segs = in.count();
  const Map empty = make_output(h, w, c, pick_of({0, 5, 16}));
  Map expected = empty;
  a.out = expected.view();
  ref_kernels().move(a, 0, h);
  for (const HostKernels* be : all_isas()) {
    Map got = empty;
    a.out = got.view();
    for (int y = h - 1; y >= 0; --y) be->move(a, y, y + 1);
    CHECK(same_bits(got.memory, expected.memory));
    CHECK(canaries_alive(got, 0, c));
  }
}

}  // namespace

TEST(padding_equals_the_reference) {
  for (int i = 0; i < 90; ++i) {
    MoveArgs a;
    a.mode = static_cast<PadMode>(i % 3);
    a.value = value();
    const int h = pick(4, 7), w = pick(4, 9), c = pick_of({1, 3, 16, 17, 40});
    const int least = a.mode == PadMode::zeros ? -2 : 0;
    a.top = pick(least, 3), a.left = pick(least, 3);
    check_move(a, Operand(h, w, c), h + a.top + pick(std::max(least, -1), 3),
               w + a.left + pick(std::max(least, -1), 3), c);
  }
}

TEST(chosen_channels_equal_the_reference) {
  for (int i = 0; i < 90; ++i) {
    MoveArgs a;
    a.op = MoveOp::select;
    const int h = pick(1, 5), w = pick(1, 9), c = pick_of({1, 3, 16, 17, 40});
    std::vector<int> index;
    const int n = pick_of({1, 2, 16, 33});
    while (static_cast<int>(index.size()) < n) {  // runs, and channels by themselves
      const int first = pick(0, c - 1);
      const int run = i % 2 == 0 ? 1 : pick(1, c - first);
      for (int k = 0; k < run; ++k) index.push_back(first + k);
    }
    a.index = index.data();
    check_move(a, Operand(h, w, c), h, w, static_cast<int>(index.size()));
  }
}

TEST(pixels_to_channels_and_back_equal_the_reference) {
  for (int i = 0; i < 60; ++i) {
    MoveArgs a;
    a.block = pick(1, 3);
    const int b = a.block, h = pick(1, 4), w = pick(1, 6), c = pick_of({1, 3, 5, 17});
    a.op = MoveOp::depth_to_space;
    check_move(a, Operand(h, w, c * b * b), h * b, w * b, c);
    a.op = MoveOp::space_to_depth;
    check_move(a, Operand(h * b, w * b, c), h, w, c * b * b);
  }
}

namespace {

struct NormCase {
  int h, w, c;
  NormArgs args;
  std::vector<float> weight, bias;
  Map input;

  NormCase() : h(pick(1, 9)), w(pick(1, 12)), c(pick_of({1, 4, 6, 16, 24, 48, 70})) {
    for (int i = 0; i < c; ++i) weight.push_back(value()), bias.push_back(value());
    input = make_input(h, w, c, 0, 0, pick_of({0, 2, 16}));
    const float offset = pick_of({0, 0, 30});  // a mean far from 0
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        for (int i = 0; i < c; ++i) input.at(y, x)[i] += offset;
      }
    }
    args.eps = pick(0, 1) == 0 ? 1e-3 : 1e-5;
    args.act = std::vector<Act>{Act::none, Act::relu, Act::silu, Act::sigmoid}[pick(0, 3)];
    args.weight = weight.data(), args.bias = bias.data();
  }

  // Of all tiles, or of one after the other from the last on.
  Map run(void (*norm)(const NormArgs&, int, int), int tiles, bool apart) {
    Map out = input;
    args.out = out.view();
    if (!apart) norm(args, 0, tiles);
    for (int i = tiles - 1; apart && i >= 0; --i) norm(args, i, i + 1);
    return out;
  }

  // Where all values are nearly equal, the deviation has lost the digits that the mean took.
  void check(void (*HostKernels::*norm)(const NormArgs&, int, int), int tiles) {
    Map expected = run(ref_kernels().*norm, tiles, false);
    for (const HostKernels* be : all_isas()) {
      Map got = run(be->*norm, tiles, false);
      CHECK(worst(got, expected, 0, c, 3000 * kUnit) <= 1);
      CHECK(same_bits(run(be->*norm, tiles, true).memory, got.memory));
    }
  }
};

}  // namespace

TEST(group_norms_equal_the_reference_in_any_tiles) {
  for (int i = 0; i < 60; ++i) {
    NormCase n;
    do {
      n.args.groups = pick(1, n.c);
    } while (n.c % n.args.groups != 0);
    n.check(&HostKernels::group_norm, n.args.groups);
  }
}

TEST(layer_norms_equal_the_reference_in_any_tiles) {
  for (int i = 0; i < 60; ++i) {
    NormCase n;
    n.check(&HostKernels::layer_norm, n.h);
  }
}

// By hand: values 1, 3 and 5, 7 of two groups; mean 2 and 6, deviation 1.
TEST(norms_have_known_values) {
  const float weight[] = {1.0f, 2.0f}, bias[] = {0.0f, 10.0f};
  for (const HostKernels* be : all_isas()) {
    Map m = make_map(1, 2, 2, 0, 0, 0);
    const auto set = [&](float a, float b, float c, float d) {
      m.at(0, 0)[0] = a, m.at(0, 0)[1] = b, m.at(0, 1)[0] = c, m.at(0, 1)[1] = d;
    };
    const auto is = [&](float a, float b, float c, float d) {
      return m.at(0, 0)[0] == a && m.at(0, 0)[1] == b && m.at(0, 1)[0] == c && m.at(0, 1)[1] == d;
    };
    set(1, 5, 3, 7);
    be->group_norm({m.view(), 2, 0.0, weight, bias, Act::none}, 0, 2);
    CHECK(is(-1, 8, 1, 12));
    set(1, 3, 5, 7);
    be->layer_norm({m.view(), 1, 0.0, weight, bias, Act::relu}, 0, 1);
    CHECK(is(0, 12, 0, 12));
  }
}

TEST(a_nan_makes_all_that_is_normalised_with_it_nan) {
  const std::vector<float> one(20, 1.0f), zero(20, 0.0f);
  for (const HostKernels* be : all_isas()) {
    for (const float special : {kNan, std::numeric_limits<float>::infinity()}) {
      Map m = make_input(3, 2, 20, 0, 0, 0);
      m.at(1, 1)[7] = special;
      Map group = m, layer = m;
      be->group_norm({group.view(), 4, 1e-5, one.data(), zero.data(), Act::none}, 0, 4);
      be->layer_norm({layer.view(), 1, 1e-5, one.data(), zero.data(), Act::none}, 0, 3);
      for (int i = 0; i < 3 * 2 * 20; ++i) {
        const int y = i / 40, x = i / 20 % 2, c = i % 20;
        CHECK_EQ(std::isnan(group.at(y, x)[c]), c >= 5 && c < 10);
        CHECK_EQ(std::isnan(layer.at(y, x)[c]), y == 1 && x == 1);
      }
    }
  }
}

TEST(aligned_corners_equal_the_reference) {
  for (int i = 0; i < 60; ++i) {
    const int h = pick(1, 6), w = pick(1, 6), c = pick_of({1, 3, 16, 17}), oh = pick(1, 9);
    Map in = make_input(h, w, c, 0, 0, 0);
    const Map empty = make_output(oh, pick(1, 11), c, 1);
    Map expected = empty;
    ref_kernels().upsample({Interp::bilinear, in.g, in.data(), expected.view(), 0, true}, 0, oh);
    if (oh > 1 && expected.g.w > 1) {  // corners are copied
      CHECK(std::abs(expected.at(oh - 1, expected.g.w - 1)[0] - in.at(h - 1, w - 1)[0]) < 1e-5f);
    }
    for (const HostKernels* be : all_isas()) {
      Map got = empty;
      be->upsample({Interp::bilinear, in.g, in.data(), got.view(), 0, true}, 0, oh);
      CHECK(worst(got, expected, 0, c, 32 * kUnit) <= 1);
    }
  }
}
