// SPDX-License-Identifier: Apache-2.0
// Maps of plans over 8 bits for tests of kernels: of f32, int8 or uint8, made from maps of floats.
// What lies between pixels and around the map may hold anything.
#pragma once

#include <algorithm>
#include <vector>

#include "backends/int8.hpp"
#include "kernel_maps.hpp"
#if defined(__x86_64__) || defined(__aarch64__)
#include "backends/cpu/isa.hpp"
#endif

namespace pvnet::test {

struct ByteMap {
  MapGeometry g;
  std::vector<uint8_t> memory;

  int64_t offset(int y, int x) const {
    const int64_t at = kGuard + (g.halo_h + y) * g.row_stride + (g.halo_w + x) * g.pixel_stride;
    return at * element_bytes(g.dtype);
  }
  float* data() { return reinterpret_cast<float*>(memory.data() + offset(0, 0)); }
  MapView view() { return {g, data()}; }
  float value(int y, int x, int c) const {
    const uint8_t* at = memory.data() + offset(y, x) + c * element_bytes(g.dtype);
    if (g.dtype == Dtype::f32) {
      float v;
      std::memcpy(&v, at, sizeof v);
      return v;
    }
    const int steps = g.dtype == Dtype::uint8 ? *at : static_cast<int8_t>(*at);
    return static_cast<float>(steps) * g.scale;
  }
};

struct Kind {
  Dtype dtype = Dtype::f32;
  float scale = 1.0f;
};
// Steps of which values from -1 to 1 take most of the range, and some lie beyond it.
inline Kind any_kind() {
  const int i = pick(0, 2);
  if (i == 0) return {};
  return {i == 1 ? Dtype::int8 : Dtype::uint8, (i == 1 ? 0.9f : 0.8f) / (i == 1 ? 127 : 255)};
}
inline Kind any_8_bits() {
  for (;;) {
    const Kind kind = any_kind();
    if (is_8_bit(kind.dtype)) return kind;
  }
}

// The elements of a map of floats, rounded; what is NaN becomes garbage.
inline ByteMap stored(const Map& m, Kind kind) {
  ByteMap b{m.g, {}};
  b.g.dtype = kind.dtype;
  b.g.scale = kind.scale;
  const auto element = static_cast<size_t>(element_bytes(kind.dtype));
  b.memory.resize(m.memory.size() * element);
  for (size_t i = 0; i < m.memory.size(); ++i) {
    if (kind.dtype == Dtype::f32) {
      std::memcpy(b.memory.data() + 4 * i, &m.memory[i], 4);
    } else if (std::isnan(m.memory[i])) {
      b.memory[i] = static_cast<uint8_t>(pick(0, 255));
    } else {
      b.memory[i] = static_cast<uint8_t>(step_of(
          m.memory[i], 1.0f / kind.scale, lowest_step(kind.dtype), highest_step(kind.dtype)));
    }
  }
  return b;
}

// Channels [c_lo, c_hi) of interior pixels apart, `after` is as `before`.
inline bool rest_unchanged(const ByteMap& before, ByteMap after, int c_lo, int c_hi) {
  const int64_t element = element_bytes(after.g.dtype);
  for (int y = 0; y < after.g.h; ++y) {
    for (int x = 0; x < after.g.w; ++x) {
      const int64_t at = after.offset(y, x);
      std::copy(before.memory.begin() + at + c_lo * element,
                before.memory.begin() + at + c_hi * element,
                after.memory.begin() + at + c_lo * element);
    }
  }
  return before.memory == after.memory;
}

// Largest distance over channels [c_lo, c_hi): in steps of a map of 8 bits, else in `bound`s of
// what is expected, or of 1.
inline double worst(const ByteMap& got, const ByteMap& expected, int c_lo, int c_hi, double bound) {
  double w = 0;
  for (int y = 0; y < got.g.h; ++y) {
    for (int x = 0; x < got.g.w; ++x) {
      for (int c = c_lo; c < c_hi; ++c) {
        const double a = got.value(y, x, c), b = expected.value(y, x, c);
        if (a == b || (std::isnan(a) && std::isnan(b))) continue;
        const double unit =
            is_8_bit(got.g.dtype) ? got.g.scale : bound * std::max(1.0, std::abs(b));
        const double d = std::abs(a - b) / unit;
        w = d <= w ? w : d == d ? d : std::numeric_limits<double>::infinity();
      }
    }
  }
  return w;
}

// Every table of dtype int8 of this machine, that of a lesser one with the same name, too.
inline std::vector<const HostKernels*> all_int8() {
  std::vector<const HostKernels*> all;
  for (const char* const* isa = cpu_isas(); *isa != nullptr; ++isa) {
    all.push_back(cpu_kernels(*isa, nullptr, Dtype::int8));
  }
#if defined(__x86_64__)
  if (cpu_kernels("avx512", nullptr) != nullptr) all.push_back(&cpu::avx512_int8_kernels());
  if (cpu_kernels("avx2", nullptr) != nullptr) all.push_back(&cpu::avx2_int8_kernels());
#elif defined(__aarch64__)
  all.push_back(&cpu::neon_int8_kernels());
#endif
  return all;
}

}  // namespace pvnet::test
