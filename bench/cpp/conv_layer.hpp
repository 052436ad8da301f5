// SPDX-License-Identifier: Apache-2.0
// A convolution layer to be timed: random maps and weights, a check in double, the clock and the
// peak of the core.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "backends/kernel_api.hpp"

namespace bench {

using pvnet::Act;
using pvnet::ConvAlgorithm;
using pvnet::ConvArgs;
using pvnet::ConvShape;
using pvnet::HostKernels;
using pvnet::MapGeometry;
using pvnet::SegmentView;

struct Layer {
  const char* name;
  int kt, k, stride, in_c, out_c, in;  // square kernels and maps; padding keeps the size
};

// Seconds of this thread on a CPU: other people's jobs on the machine disturb it less than wall
// time.
inline double now() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

inline double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + v.size() / 2, v.end());
  return v[v.size() / 2];
}

inline double peak_gflops(const HostKernels& be) {
  double best = 0;
  for (int i = 0; i < 6; ++i) {
    const double t = now();
    const double flops = be.fma_block(1000000);
    best = std::max(best, flops / (now() - t) * 1e-9);
  }
  return best;
}

struct Case {
  ConvShape s;
  MapGeometry in, out;
  int seg_c[1];
  std::vector<float> weight, bias, frames, result, packed, scratch;
  std::vector<const float*> taps;
  SegmentView seg;
  ConvArgs args;
};

inline float random_value() { return static_cast<float>(std::rand() % 2001 - 1000) * 1e-3f; }
inline float* aligned(std::vector<float>& v) {
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(v.data()) + 63) & ~uintptr_t{63});
}

inline void set_up(const Layer& l, const HostKernels& be, Case& c,
                   ConvAlgorithm algorithm = ConvAlgorithm::direct) {
  ConvShape& s = c.s;
  s.algorithm = algorithm;
  s.in_h = s.in_w = l.in;
  s.in_c = c.seg_c[0] = l.in_c;
  s.kt = l.kt;
  s.kh = s.kw = l.k;
  s.sh = s.sw = l.stride;
  s.ph = s.pw = l.k / 2;
  s.out_h = s.out_w = (l.in + 2 * s.ph - l.k) / l.stride + 1;
  s.out_c = l.out_c;
  s.act = Act::relu;
  s.seg_c = c.seg_c;
  s.n_segs = 1;
  c.in = {l.in, l.in, l.in_c, s.ph, s.pw, l.in_c, 0};
  c.in.row_stride = c.in.pixel_stride * (l.in + 2 * s.pw);
  const int64_t slot = c.in.row_stride * (l.in + 2 * s.ph);
  const int64_t out_stride = (l.out_c + 15) / 16 * 16;
  c.out = {s.out_h, s.out_w, l.out_c, 0, 0, out_stride, out_stride * s.out_w};
  c.frames.assign(slot * l.kt, 0.0f);
  const int64_t origin = s.ph * c.in.row_stride + s.pw * c.in.pixel_stride;
  for (int t = 0; t < l.kt; ++t) {
    float* frame = c.frames.data() + t * slot + origin;
    c.taps.push_back(frame);
    for (int y = 0; y < l.in; ++y) {
      for (int i = 0; i < l.in * l.in_c; ++i) frame[y * c.in.row_stride + i] = random_value();
    }
  }
  c.weight.resize(static_cast<size_t>(l.out_c) * l.in_c * l.kt * l.k * l.k);
  c.bias.resize(l.out_c);
  for (float& w : c.weight) w = random_value();
  for (float& b : c.bias) b = random_value();
  c.result.resize(c.out.row_stride * s.out_h + 16);
  c.packed.resize(be.conv_packed_floats(s) + 16);
  be.conv_pack(s, c.weight.data(), c.bias.data(), aligned(c.packed));
  c.seg = {c.in, c.taps.data()};
  c.scratch.resize(be.conv_scratch_floats(s) + 16);
  c.args = {&s, &c.seg, aligned(c.packed), {c.out, aligned(c.result)}, aligned(c.scratch)};
}

// A sample of output values against sums in double.
inline double worst_error(const Case& c) {
  const ConvShape& s = c.s;
  double worst = 0;
  for (int i = 0; i < 300; ++i) {
    const int o = std::rand() % s.out_c, y = std::rand() % s.out_h, x = std::rand() % s.out_w;
    double sum = c.bias[o], scale = 1;
    for (int t = 0; t < s.kt; ++t) {
      for (int ky = 0; ky < s.kh; ++ky) {
        for (int kx = 0; kx < s.kw; ++kx) {
          const float* p = c.taps[t] + (y * s.sh + ky - s.ph) * c.in.row_stride +
                           (x * s.sw + kx - s.pw) * c.in.pixel_stride;
          for (int ic = 0; ic < s.in_c; ++ic) {
            const double v =
                double{p[ic]} *
                c.weight[((static_cast<size_t>(o) * s.in_c + ic) * s.kt + t) * s.kh * s.kw +
                         ky * s.kw + kx];
            sum += v;
            scale += std::abs(v);
          }
        }
      }
    }
    const float got = c.args.out.data[y * c.out.row_stride + x * c.out.pixel_stride + o];
    worst = std::max(worst, std::abs(got - std::max(sum, 0.0)) / scale);
  }
  return worst;
}

// The kernels of the instruction set that the first argument names, or of the best one here, which
// are told on stdout. nullptr, and a word on stderr: there are none.
inline const HostKernels* kernels_of(int argc, char** argv) {
  const char* why = "";
  const HostKernels* be = pvnet::cpu_kernels(argc > 1 ? argv[1] : "", &why);
  if (be == nullptr) {
    std::fprintf(stderr, "%s\n", why);
    return nullptr;
  }
  std::printf("isa %s, f32, 1 thread, peak %.1f GF/s\n", be->isa, peak_gflops(*be));
  return be;
}

}  // namespace bench
