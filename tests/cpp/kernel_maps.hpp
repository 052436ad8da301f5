// SPDX-License-Identifier: Apache-2.0
// Maps for tests of kernels: input halos are zero, lanes beyond c are NaN, and everything a kernel
// must not write is a canary.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "backends/kernel_api.hpp"

namespace pvnet::test {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kCanary = 1.2345e30f;
constexpr int kGuard = 64;  // floats before and after a map
constexpr double kUnit = 1.0 / (1 << 24);

inline std::mt19937 rng(7);
inline int pick(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(rng); }
inline int pick_of(std::initializer_list<int> v) {
  return v.begin()[pick(0, static_cast<int>(v.size()) - 1)];
}
inline float value() { return std::uniform_real_distribution<float>(-1.0f, 1.0f)(rng); }

// Every activation that may follow an operation, in the order of pv_act, with numbers for tests.
constexpr Act kFusedActs[] = {Act::none,       Act::relu,       Act::silu,      Act::sigmoid,
                              Act::clamp,      Act::leaky_relu, Act::elu,       Act::hard_sigmoid,
                              Act::hard_swish, Act::gelu,       Act::gelu_tanh, Act::tanh,
                              Act::softplus,   Act::mish};
constexpr int kLastAct = 13;
inline ActNumbers numbers_for(Act act) {
  if (act == Act::clamp) return {-0.25f, 0.5f};
  if (act == Act::leaky_relu || act == Act::elu) return {0.3f, 0.0f};
  return {};
}
// Gives `to` (of a convolution or of elements) activation number i.
template <class T>
void give_act(T& to, int i) {
  to.act = kFusedActs[i % (kLastAct + 1)];
  to.numbers = numbers_for(to.act);
}

struct Map {
  MapGeometry g;
  std::vector<float> memory;
  float* data() {
    return memory.data() + kGuard + g.halo_h * g.row_stride + g.halo_w * g.pixel_stride;
  }
  MapView view() { return {g, data()}; }
  float* at(int y, int x) { return data() + y * g.row_stride + x * g.pixel_stride; }
};

inline Map make_map(int h, int w, int c, int halo_h, int halo_w, int pad) {
  Map m;
  m.g = {h, w, c, halo_h, halo_w, c + pad, 0};
  m.g.row_stride = (w + 2 * halo_w) * m.g.pixel_stride + (pad == 0 ? 0 : pick(0, 3));
  m.memory.assign(2 * kGuard + (h + 2 * halo_h) * m.g.row_stride, kNan);
  return m;
}

inline Map make_input(int h, int w, int c, int halo_h, int halo_w, int pad) {
  Map m = make_map(h, w, c, halo_h, halo_w, pad);
  for (int y = -halo_h; y < h + halo_h; ++y) {
    for (int x = -halo_w; x < w + halo_w; ++x) {
      const bool inside = y >= 0 && y < h && x >= 0 && x < w;
      for (int i = 0; i < c; ++i) m.at(y, x)[i] = inside ? value() : 0.0f;
    }
  }
  return m;
}

inline Map make_output(int h, int w, int c, int pad) {
  Map m = make_map(h, w, c, pick(0, 2), pick(0, 2), pad);
  m.memory.assign(m.memory.size(), kCanary);
  return m;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Nothing outside the interior pixels' channels [c_lo, c_hi) was written; behind the last channel
// what fills a pixel up may hold anything.
inline bool canaries_alive(const Map& written, int c_lo, int c_hi) {
  Map m = written;
  if (c_hi == m.g.c) c_hi = static_cast<int>(m.g.pixel_stride);
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
inline double worst(Map& a, Map& b, int c_lo, int c_hi, double bound) {
  double w = 0;
  for (int y = 0; y < a.g.h; ++y) {
    for (int x = 0; x < a.g.w; ++x) {
      for (int i = c_lo; i < c_hi; ++i) {
        const double p = a.at(y, x)[i], q = b.at(y, x)[i];
        if (p == q || (std::isnan(p) && std::isnan(q))) continue;  // infinite: x / 0
        const double d = std::abs(p - q) / (bound * (1 + std::abs(q)));
        w = d <= w ? w : d == d ? d : std::numeric_limits<double>::infinity();
      }
    }
  }
  return w;
}

// All rows in two calls, the lower ones first, or one by one: neither the order nor the number of
// rows of a call is promised.
template <class Work>
void in_parts(int rows, const Work& work) {
  const int cut = pick(0, rows);
  if (pick(0, 3) == 0) {
    for (int y = rows - 1; y >= 0; --y) work(y, y + 1);
    return;
  }
  work(cut, rows);
  work(0, cut);
}

// Sizes of a map to be resampled and of the result: any, whole factors, more than kernels keep at
// once, and smaller ones.
struct Resampled {
  int h = pick(1, 7), w = pick(1, 9), oh = pick(1, 14), ow = pick(1, 20);
  explicit Resampled(int i) {
    const int factor = pick(1, 4);
    if (i % 3 == 0) oh = factor * h, ow = factor * w;
    if (i % 7 == 0) oh = pick(30, 50), ow = pick(60, 100);
    if (i % 11 == 0) h = pick(9, 40), w = pick(40, 90);
  }
};

inline std::vector<const HostKernels*> all_isas() {
  std::vector<const HostKernels*> all;
  for (const char* const* isa = cpu_isas(); *isa != nullptr; ++isa) {
    all.push_back(cpu_kernels(*isa, nullptr));
  }
  return all;
}

}  // namespace pvnet::test
