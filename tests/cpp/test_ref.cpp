// SPDX-License-Identifier: Apache-2.0
// The reference backend against a second, independent formulation: dense [t][c][h][w] arrays and
// double accumulation. Halos and channel padding hold NaN here, so reading them shows.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "backends/kernel_api.hpp"
#include "check.hpp"

namespace {

using pvnet::MapGeometry;
using pvnet::MapView;

const pvnet::HostKernels& ref() { return pvnet::ref_kernels(); }
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Random {
  uint64_t state = 0x9e3779b97f4a7c15u;
  float next() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<float>(static_cast<double>(state >> 40) / (1 << 23) - 1.0);
  }
  std::vector<float> fill(size_t n) {
    std::vector<float> v(n);
    for (float& x : v) x = next();
    return v;
  }
};

// One map with a halo of 2 and 3 floats of channel padding, all NaN until written.
struct Map {
  MapGeometry g;
  std::vector<float> memory;
  Map(int c, int h, int w) {
    g = {.h = h, .w = w, .c = c, .halo_h = 2, .halo_w = 2, .pixel_stride = c + 3, .row_stride = 0};
    g.row_stride = (w + 4) * g.pixel_stride;
    memory.assign(static_cast<size_t>(h + 4) * g.row_stride, kNaN);
  }
  float* data() { return memory.data() + 2 * g.row_stride + 2 * g.pixel_stride; }
  float& at(int c, int y, int x) { return data()[y * g.row_stride + x * g.pixel_stride + c]; }
  MapView view() { return {g, data()}; }
  // Copies channels [c0, c0 + g.c) of a dense [c][h][w] array.
  void set(const float* dense, int c0 = 0) {
    for (int c = 0; c < g.c; ++c) {
      for (int y = 0; y < g.h; ++y) {
        for (int x = 0; x < g.w; ++x) at(c, y, x) = dense[((c0 + c) * g.h + y) * g.w + x];
      }
    }
  }
  std::vector<float> get() {
    std::vector<float> dense;
    for (int c = 0; c < g.c; ++c) {
      for (int y = 0; y < g.h; ++y) {
        for (int x = 0; x < g.w; ++x) dense.push_back(at(c, y, x));
      }
    }
    return dense;
  }
};

bool close(const std::vector<float>& a, const std::vector<double>& b, double tol = 1e-5) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= tol * (1 + std::abs(b[i])))) return false;
  }
  return true;
}
bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

int out_size(int in, int k, int s, int p, int d) { return (in + 2 * p - d * (k - 1) - 1) / s + 1; }

struct ConvCase {
  pvnet::ConvShape s;
  std::vector<int> seg_c;
  int missing = 0;  // oldest taps that do not exist
};

ConvCase conv_case(int in_c, int out_c, int kt, int k, int stride, int pad, int dil, int groups,
                   int missing) {
  ConvCase c;
  c.s.in_h = 7, c.s.in_w = 9, c.s.in_c = in_c, c.s.out_c = out_c;
  c.s.kt = kt, c.s.kh = k, c.s.kw = k, c.s.sh = c.s.sw = stride, c.s.ph = c.s.pw = pad;
  c.s.dh = c.s.dw = dil, c.s.groups = groups;
  c.s.out_h = out_size(7, k, stride, pad, dil), c.s.out_w = out_size(9, k, stride, pad, dil);
  c.missing = missing;
  return c;
}

struct ConvData {
  std::vector<std::vector<float>> frames;  // [kt][c][h][w]
  std::vector<float> weight, bias;
};

ConvData conv_data(const pvnet::ConvShape& s) {
  Random random;
  ConvData d;
  for (int j = 0; j < s.kt; ++j) {
    d.frames.push_back(random.fill(static_cast<size_t>(s.in_c) * s.in_h * s.in_w));
  }
  d.weight = random.fill(static_cast<size_t>(s.out_c) * (s.in_c / s.groups) * s.kt * s.kh * s.kw);
  d.bias = random.fill(s.out_c);
  return d;
}

// Runs the kernel tile by tile (in descending order) or all at once.
std::vector<float> run_conv(ConvCase c, const ConvData& d, const std::vector<int>& seg_c,
                            bool tile_by_tile) {
  c.s.seg_c = seg_c.data(), c.s.n_segs = static_cast<int>(seg_c.size());
  std::vector<std::vector<Map>> maps(seg_c.size());
  std::vector<std::vector<const float*>> taps(seg_c.size());
  std::vector<pvnet::SegmentView> segs;
  int c0 = 0;
  for (size_t i = 0; i < seg_c.size(); ++i) {
    for (int j = 0; j < c.s.kt; ++j) {
      maps[i].emplace_back(seg_c[i], c.s.in_h, c.s.in_w);
      maps[i].back().set(d.frames[j].data(), c0);
    }
    for (int j = 0; j < c.s.kt; ++j) taps[i].push_back(j < c.missing ? nullptr : maps[i][j].data());
    segs.push_back({maps[i][0].g, taps[i].data()});
    c0 += seg_c[i];
  }
  std::vector<float> packed(ref().conv_packed_floats(c.s));
  ref().conv_pack(c.s, d.weight.data(), d.bias.data(), packed.data());
  Map out(c.s.out_c, c.s.out_h, c.s.out_w);
  const pvnet::ConvArgs args{&c.s, segs.data(), packed.data(), out.view()};
  const int tiles = ref().conv_tiles(c.s);
  if (tile_by_tile) {
    for (int t = tiles; t-- > 0;) ref().conv(args, t, t + 1);
  } else {
    ref().conv(args, 0, tiles);
  }
  return out.get();
}

std::vector<double> conv_oracle(const ConvCase& c, const ConvData& d) {
  const auto& s = c.s;
  const int icg = s.in_c / s.groups, ocg = s.out_c / s.groups;
  std::vector<double> out;
  for (int o = 0; o < s.out_c; ++o) {
    for (int oy = 0; oy < s.out_h; ++oy) {
      for (int ox = 0; ox < s.out_w; ++ox) {
        double sum = d.bias[o];
        for (int i = 0; i < icg; ++i) {
          for (int j = c.missing; j < s.kt; ++j) {
            for (int ky = 0; ky < s.kh; ++ky) {
              for (int kx = 0; kx < s.kw; ++kx) {
                const int y = oy * s.sh - s.ph + ky * s.dh, x = ox * s.sw - s.pw + kx * s.dw;
                if (y < 0 || x < 0 || y >= s.in_h || x >= s.in_w) continue;
                const int channel = o / ocg * icg + i;
                sum += static_cast<double>(d.frames[j][(channel * s.in_h + y) * s.in_w + x]) *
                       d.weight[(((o * icg + i) * s.kt + j) * s.kh + ky) * s.kw + kx];
              }
            }
          }
        }
        out.push_back(s.act == pvnet::Act::relu ? std::max(sum, 0.0) : sum);
      }
    }
  }
  return out;
}

TEST(conv_equals_the_dense_formula) {
  for (const int kt : {1, 2, 3}) {
    for (const int k : {1, 3}) {
      for (const int stride : {1, 2}) {
        for (const int dil : {1, 2}) {
          for (const int groups : {1, 2, 6}) {
            for (const int out_c : {6, 36, 66}) {
              ConvCase c = conv_case(6, out_c, kt, k, stride, k / 2, dil, groups, 0);
              c.s.act = stride == 2 ? pvnet::Act::relu : pvnet::Act::none;
              const ConvData d = conv_data(c.s);
              CHECK(close(run_conv(c, d, {6}, false), conv_oracle(c, d)));
            }
          }
        }
      }
    }
  }
}

TEST(conv_missing_firings_are_zero) {
  for (const int missing : {0, 1, 2, 3}) {
    const ConvCase c = conv_case(4, 5, 3, 3, 1, 1, 1, 1, missing);
    const ConvData d = conv_data(c.s);
    CHECK(close(run_conv(c, d, {4}, false), conv_oracle(c, d)));
  }
}

TEST(conv_bits_depend_neither_on_segments_nor_on_tiles) {
  for (const int groups : {1, 2, 3}) {
    const ConvCase c = conv_case(12, 36, 2, 3, 1, 1, 1, groups, 0);
    const ConvData d = conv_data(c.s);
    const std::vector<float> whole = run_conv(c, d, {12}, false);
    CHECK(same_bits(whole, run_conv(c, d, {12}, true)));
    CHECK(same_bits(whole, run_conv(c, d, {5, 1, 6}, false)));
    CHECK(same_bits(whole, run_conv(c, d, {3, 3, 3, 3}, true)));
  }
}

TEST(activations_follow_the_convolution) {
  ConvCase c = conv_case(3, 4, 1, 1, 1, 0, 1, 1, 0);
  const ConvData d = conv_data(c.s);
  const std::vector<double> plain = conv_oracle(c, d);
  for (const auto act : {pvnet::Act::silu, pvnet::Act::sigmoid}) {
    std::vector<double> want;
    for (const double v : plain) {
      const double sigmoid = 1 / (1 + std::exp(-v));
      want.push_back(act == pvnet::Act::silu ? v * sigmoid : sigmoid);
    }
    c.s.act = act;
    CHECK(close(run_conv(c, d, {3}, false), want));
  }
}

struct PoolCase {
  pvnet::PoolArgs a;
  std::vector<std::vector<float>> frames;
  std::vector<Map> maps;
  std::vector<const float*> taps;
  Map out;
  PoolCase(bool is_max, bool include_pad, int kt, int k, int stride, int pad, int missing)
      : out(3 + 2, out_size(6, k, stride, pad, 1), out_size(5, k, stride, pad, 1)) {
    Random random;
    for (int j = 0; j < kt; ++j) {
      frames.push_back(random.fill(3 * 6 * 5));
      maps.emplace_back(3, 6, 5).set(frames.back().data());
    }
    for (int j = 0; j < kt; ++j) taps.push_back(j < missing ? nullptr : maps[j].data());
    a.is_max = is_max, a.count_include_pad = include_pad, a.kt = kt, a.kh = a.kw = k;
    a.sh = a.sw = stride, a.ph = a.pw = pad, a.seg = {maps[0].g, taps.data()};
    a.out = out.view(), a.out_c0 = 2;
  }
  double oracle(int c, int oy, int ox) {
    double best = -std::numeric_limits<double>::infinity(), sum = 0;
    int n = 0;
    for (int j = 0; j < a.kt; ++j) {
      for (int y = oy * a.sh - a.ph; y < oy * a.sh - a.ph + a.kh; ++y) {
        for (int x = ox * a.sw - a.pw; x < ox * a.sw - a.pw + a.kw; ++x) {
          if (y < 0 || x < 0 || y >= 6 || x >= 5) continue;
          const double v = taps[j] == nullptr ? 0 : frames[j][(c * 6 + y) * 5 + x];
          best = std::max(best, v), sum += v, ++n;
        }
      }
    }
    return a.is_max ? best : sum / (a.count_include_pad ? a.kt * a.kh * a.kw : n);
  }
};

TEST(pools_equal_the_window_formula) {
  for (const bool is_max : {true, false}) {
    for (const bool include_pad : {true, false}) {
      for (const int kt : {1, 3}) {
        for (const int stride : {1, 2}) {
          for (const int missing : {0, 1}) {
            PoolCase p(is_max, include_pad, kt, 3, stride, 1, missing);
            ref().pool(p.a, 0, p.out.g.h);
            for (int y = 0; y < p.out.g.h; ++y) {
              for (int x = 0; x < p.out.g.w; ++x) {
                CHECK(std::isnan(p.out.at(1, y, x)));  // channels below out_c0 are not touched
                for (int c = 0; c < 3; ++c) {
                  CHECK(std::abs(p.out.at(2 + c, y, x) - p.oracle(c, y, x)) < 1e-6);
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST(max_pool_lets_nan_through) {
  PoolCase p(true, true, 1, 3, 1, 1, 0);
  p.maps[0].at(1, 2, 2) = kNaN;
  ref().pool(p.a, 0, p.out.g.h);
  for (int y = 0; y < p.out.g.h; ++y) {
    for (int x = 0; x < p.out.g.w; ++x) {
      const bool sees_it = std::abs(y - 2) <= 1 && std::abs(x - 2) <= 1;
      CHECK_EQ(std::isnan(p.out.at(2 + 1, y, x)), sees_it);
      CHECK(!std::isnan(p.out.at(2, y, x)));
    }
  }
}

TEST(eltwise_broadcasts_pixels_and_channels) {
  Random random;
  Map full(4, 3, 2), vector(4, 1, 1), plane(1, 3, 2), out(6, 3, 2);
  const auto a = random.fill(24), b = random.fill(4), c = random.fill(6);
  full.set(a.data()), vector.set(b.data()), plane.set(c.data());
  pvnet::EltwiseArgs e;
  e.op = pvnet::EltOp::mul, e.act = pvnet::Act::relu, e.n = 3, e.c = 4;
  e.g[0] = full.g, e.g[1] = vector.g, e.g[2] = plane.g;
  e.data[0] = full.data(), e.data[1] = vector.data(), e.data[2] = plane.data();
  e.out = out.view(), e.out_c0 = 1;
  ref().eltwise(e, 0, 3);
  for (int i = 0; i < 4; ++i) {
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 2; ++x) {
        const float want = std::max(0.0f, a[(i * 3 + y) * 2 + x] * b[i] * c[y * 2 + x]);
        CHECK_EQ(out.at(1 + i, y, x), want);
      }
    }
  }
  CHECK(std::isnan(out.at(0, 0, 0)) && std::isnan(out.at(5, 2, 1)));
  e.op = pvnet::EltOp::add, e.act = pvnet::Act::none, e.n = 2, e.data[1] = nullptr, e.c = 2;
  e.c0[0] = 2;
  ref().eltwise(e, 1, 2);
  CHECK_EQ(out.at(1, 1, 0), a[(2 * 3 + 1) * 2]);
}

TEST(upsample_known_values) {
  Map in(1, 1, 2), out(1, 2, 4);
  in.at(0, 0, 0) = 0, in.at(0, 0, 1) = 4;
  pvnet::UpsampleArgs u{pvnet::Interp::bilinear, in.g, in.data(), out.view(), 0};
  ref().upsample(u, 0, 2);
  CHECK(same_bits(out.get(), {0, 1, 3, 4, 0, 1, 3, 4}));
  u.mode = pvnet::Interp::nearest;
  ref().upsample(u, 0, 2);
  CHECK(same_bits(out.get(), {0, 0, 4, 4, 0, 0, 4, 4}));
  u.data = nullptr;
  ref().upsample(u, 1, 2);
  CHECK(same_bits(out.get(), {0, 0, 4, 4, 0, 0, 0, 0}));
}

TEST(global_pool_counts_missing_firings) {
  Random random;
  const auto dense = random.fill(2 * 3 * 4);
  Map in(2, 3, 4), out(3, 1, 1);
  in.set(dense.data());
  const float* taps[2] = {nullptr, in.data()};
  ref().global_pool({2, {in.g, taps}, out.view(), 1});
  for (int c = 0; c < 2; ++c) {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += dense[c * 12 + i];
    CHECK(std::abs(out.at(1 + c, 0, 0) - sum / 24) < 1e-6);
  }
}

TEST(affine_softmax_and_frames) {
  Random random;
  const auto dense = random.fill(3 * 2 * 2);
  const float scale[3] = {2, -1, 0.5f}, shift[3] = {0, 1, -3};
  Map in(3, 2, 2), out(3, 2, 2);
  const int64_t strides[3] = {4, 2, 1};
  ref().load_f32(dense.data(), strides, in.view());
  CHECK(same_bits(in.get(), dense));
  ref().affine({in.g, in.data(), scale, shift, out.view(), 0}, 0, 2);
  CHECK_EQ(out.at(1, 1, 0), dense[4 + 2] * -1 + 1);
  std::vector<float> stored(12, kNaN);
  ref().store_f32(out.g, out.data(), stored.data(), 0, out.g.h);
  CHECK(same_bits(stored, out.get()));
  ref().store_f32(out.g, nullptr, stored.data(), 0, out.g.h);
  CHECK(same_bits(stored, std::vector<float>(12, 0.0f)));

  out.at(0, 0, 0) = 1000;  // must not overflow
  ref().softmax({out.view()}, 0, 2);
  CHECK_EQ(out.at(0, 0, 0), 1.0f);
  CHECK(std::abs(out.at(0, 1, 1) + out.at(1, 1, 1) + out.at(2, 1, 1) - 1) < 1e-6);

  const uint8_t bytes[2 * 7] = {0, 255, 10, 20, 30, 40, 99, 1, 2, 3, 4, 5, 6, 99};
  ref().load_u8(bytes, 7, scale, shift, in.view());
  CHECK_EQ(in.at(1, 0, 0), 255.0f * -1 + 1);
  CHECK_EQ(in.at(2, 1, 1), 6.0f * 0.5f - 3);
}

}  // namespace
