// SPDX-License-Identifier: Apache-2.0
// Convolution layers, checked and then timed on one core, beside the core's own peak of f32
// multiply-adds. Usage: bench_conv [isa] [substring of a layer's name]
// One line per layer; GF/s counts nominal multiply-adds (those with padding included), medians of
// the thread's CPU time.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "backends/kernel_api.hpp"

namespace {

using pvnet::Act;
using pvnet::ConvArgs;
using pvnet::ConvShape;
using pvnet::HostKernels;
using pvnet::MapGeometry;
using pvnet::SegmentView;

struct Layer {
  const char* name;
  int kt, k, stride, in_c, out_c, in;  // square kernels and maps; padding keeps the size
};

constexpr Layer kLayers[] = {
    {"stem 7x7x7/2 3->64 @224", 7, 7, 2, 3, 64, 224},
    {"stem 1x7x7/2 3->64 @224", 1, 7, 2, 3, 64, 224},
    {"1x1x1 64->64 @56", 1, 1, 1, 64, 64, 56},
    {"3x3x3 64->192 @56", 3, 3, 1, 64, 192, 56},
    {"1x3x3 64->192 @56", 1, 3, 1, 64, 192, 56},
    {"1x1x1 192->96 @28", 1, 1, 1, 192, 96, 28},
    {"3x3x3 96->128 @28", 3, 3, 1, 96, 128, 28},
    {"3x3x3 16->32 @28", 3, 3, 1, 16, 32, 28},
    {"1x1x1 480->192 @14", 1, 1, 1, 480, 192, 14},
    {"3x3x3 96->208 @14", 3, 3, 1, 96, 208, 14},
    {"3x3x3 24->64 @14", 3, 3, 1, 24, 64, 14},
    {"1x1x1 512->24 @14", 1, 1, 1, 512, 24, 14},
    {"3x3x3 160->320 @7", 3, 3, 1, 160, 320, 7},
    {"3x3x3 832->384 @7", 3, 3, 1, 832, 384, 7},
    {"1x1x1 832->384 @7", 1, 1, 1, 832, 384, 7},
    {"1x1x1 1024->400 @1", 1, 1, 1, 1024, 400, 1},
    {"small 3x3x3 16->16 @32", 3, 3, 1, 16, 16, 32},
    {"small 1x3x3 16->32 @16", 1, 3, 1, 16, 32, 16},
    {"small 3x3x3 64->64 @12", 3, 3, 1, 64, 64, 12},
    {"small 1x1x1 32->13 @64", 1, 1, 1, 32, 13, 64},
};

// Seconds of this thread on a CPU: other people's jobs on the machine disturb it less than wall
// time.
double now() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + v.size() / 2, v.end());
  return v[v.size() / 2];
}

double peak_gflops(const HostKernels& be) {
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
  std::vector<float> weight, bias, frames, result, packed;
  std::vector<const float*> taps;
  SegmentView seg;
  ConvArgs args;
};

float random_value() { return static_cast<float>(std::rand() % 2001 - 1000) * 1e-3f; }
float* aligned(std::vector<float>& v) {
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(v.data()) + 63) & ~uintptr_t{63});
}

void set_up(const Layer& l, const HostKernels& be, Case& c) {
  ConvShape& s = c.s;
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
  c.args = {&s, &c.seg, aligned(c.packed), {c.out, aligned(c.result)}};
}

// A sample of output values against sums in double.
double worst_error(const Case& c) {
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

}  // namespace

int main(int argc, char** argv) {
  const char* why = "";
  const HostKernels* be = pvnet::cpu_kernels(argc > 1 ? argv[1] : "", &why);
  if (be == nullptr) {
    std::fprintf(stderr, "%s\n", why);
    return 2;
  }
  std::printf("isa %s, f32, 1 thread, peak %.1f GF/s\n", be->isa, peak_gflops(*be));
  std::printf("%-28s %9s %8s %8s %6s %10s\n", "layer", "MMAC", "us", "GF/s", "peak", "error");
  int failed = 0;
  double total_s = 0, total_flops = 0;
  for (const Layer& l : kLayers) {
    if (argc > 2 && std::strstr(l.name, argv[2]) == nullptr) continue;
    Case c;
    set_up(l, *be, c);
    const int tiles = be->conv_tiles(c.s);
    be->conv(c.args, 0, tiles);
    const double error = worst_error(c);
    const double macs = static_cast<double>(c.weight.size()) * c.s.out_h * c.s.out_w;
    failed += error > 1e-5;
    const double peak = peak_gflops(*be);
    std::vector<double> seconds;
    const int inner = std::max(1, static_cast<int>(1e7 / macs));
    for (const double end = now() + 0.4; now() < end || seconds.size() < 5;) {
      const double t = now();
      for (int i = 0; i < inner; ++i) be->conv(c.args, 0, tiles);
      seconds.push_back((now() - t) / inner);
    }
    const double s = median(seconds);
    total_s += s;
    total_flops += 2 * macs;
    std::printf("%-28s %9.2f %8.1f %8.1f %6.3f %10.1e%s\n", l.name, macs * 1e-6, s * 1e6,
                2e-9 * macs / s, 2e-9 * macs / s / peak, error, error > 1e-5 ? " WRONG" : "");
    std::fflush(stdout);
  }
  std::printf("all: %.1f GF/s\n", total_flops / total_s * 1e-9);
  return failed != 0;
}
