// SPDX-License-Identifier: Apache-2.0
// Maps of bf16 for tests of kernels, made from maps of floats and turned back into them.
#pragma once

#include <algorithm>
#include <vector>

#include "backends/element.hpp"
#include "kernel_maps.hpp"
#if defined(__x86_64__)
#include "backends/cpu/isa.hpp"
#endif

namespace pvnet::test {

struct HalfMap {
  MapGeometry g;
  std::vector<uint16_t> memory;
  float* data() {
    return reinterpret_cast<float*>(memory.data() + kGuard + g.halo_h * g.row_stride +
                                    g.halo_w * g.pixel_stride);
  }
  MapView view() { return {g, data()}; }
};

inline HalfMap narrowed(const Map& m) {
  HalfMap h{m.g, {}};
  h.memory.resize(m.memory.size());
  std::transform(m.memory.begin(), m.memory.end(), h.memory.begin(), bf16_bits);
  return h;
}

inline Map widened(const HalfMap& h) {
  Map m{h.g, {}};
  m.memory.resize(h.memory.size());
  std::transform(h.memory.begin(), h.memory.end(), m.memory.begin(), bf16_value);
  return m;
}

// Values that bf16 stores without rounding.
inline void round_values(std::vector<float>& values) {
  for (float& x : values) x = bf16_value(bf16_bits(x));
}

// Channels [c_lo, c_hi) of interior pixels apart, `after` is as `before`. Channels beyond the map's
// own ones are free where `padding` says so.
inline bool rest_unchanged(const HalfMap& before, HalfMap after, int c_lo, int c_hi) {
  for (int y = 0; y < after.g.h; ++y) {
    for (int x = 0; x < after.g.w; ++x) {
      const auto at = kGuard + (after.g.halo_h + y) * after.g.row_stride +
                      (after.g.halo_w + x) * after.g.pixel_stride;
      std::copy(before.memory.begin() + at + c_lo, before.memory.begin() + at + c_hi,
                after.memory.begin() + at + c_lo);
    }
  }
  return before.memory == after.memory;
}

// Largest distance over channels [c_lo, c_hi), where `ulps` units of bf16 and `bound` make 1.
inline double worst(const HalfMap& a, const HalfMap& b, int c_lo, int c_hi, double ulps,
                    double bound) {
  Map p = widened(a), q = widened(b);
  double w = 0;
  for (int y = 0; y < p.g.h; ++y) {
    for (int x = 0; x < p.g.w; ++x) {
      for (int i = c_lo; i < c_hi; ++i) {
        const double u = p.at(y, x)[i], v = q.at(y, x)[i];
        if (u == v || (std::isnan(u) && std::isnan(v))) continue;
        const double d = std::abs(u - v) / (ulps * std::abs(v) / 128 + bound);
        w = d <= w ? w : d == d ? d : std::numeric_limits<double>::infinity();
      }
    }
  }
  return w;
}

// Every table over bf16 of this machine, that of a lesser one with the same name, too.
inline std::vector<const HostKernels*> all_bf16() {
  std::vector<const HostKernels*> all;
  for (const char* const* isa = cpu_isas(); *isa != nullptr; ++isa) {
    all.push_back(cpu_kernels(*isa, nullptr, Dtype::bf16));
  }
#if defined(__x86_64__)
  if (cpu_kernels("avx512", nullptr) != nullptr) all.push_back(&cpu::avx512_bf16_kernels());
#endif
  return all;
}

}  // namespace pvnet::test
