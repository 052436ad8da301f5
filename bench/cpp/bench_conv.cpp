// SPDX-License-Identifier: Apache-2.0
// Convolution layers, checked and then timed on one core, beside the core's own peak of f32
// multiply-adds. Usage: bench_conv [isa] [substring of a layer's name]
// One line per layer; GF/s counts nominal multiply-adds (those with padding included), medians of
// the thread's CPU time.
#include <cstdio>
#include <cstring>

#include "conv_layer.hpp"

using namespace bench;

namespace {

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
    {"pointwise 64->64 @56", 1, 1, 1, 64, 64, 56},
    {"pointwise 64->256 @56", 1, 1, 1, 64, 256, 56},
    {"pointwise 256->64 @56", 1, 1, 1, 256, 64, 56},
    {"pointwise 128->512 @28", 1, 1, 1, 128, 512, 28},
    {"pointwise 512->128 @28", 1, 1, 1, 512, 128, 28},
    {"pointwise 256->1024 @14", 1, 1, 1, 256, 1024, 14},
    {"pointwise 512->2048 @7", 1, 1, 1, 512, 2048, 7},
    {"pointwise 32->16 @112", 1, 1, 1, 32, 16, 112},
    {"pointwise 16->96 @112", 1, 1, 1, 16, 96, 112},
    {"pointwise 24->144 @56", 1, 1, 1, 24, 144, 56},
    {"pointwise 144->24 @56", 1, 1, 1, 144, 24, 56},
    {"pointwise 32->192 @28", 1, 1, 1, 32, 192, 28},
    {"pointwise 64->384 @14", 1, 1, 1, 64, 384, 14},
    {"pointwise 160->960 @7", 1, 1, 1, 160, 960, 7},
    {"pointwise 96->24 @56", 1, 1, 1, 96, 24, 56},
    {"linear 2048->1000", 1, 1, 1, 2048, 1000, 1},
    {"linear 512->1000", 1, 1, 1, 512, 1000, 1},
    {"small 3x3x3 16->16 @32", 3, 3, 1, 16, 16, 32},
    {"small 1x3x3 16->32 @16", 1, 3, 1, 16, 32, 16},
    {"small 3x3x3 64->64 @12", 3, 3, 1, 64, 64, 12},
    {"small 1x1x1 32->13 @64", 1, 1, 1, 32, 13, 64},
};

}  // namespace

int main(int argc, char** argv) {
  const HostKernels* be = kernels_of(argc, argv);
  if (be == nullptr) return 2;
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
