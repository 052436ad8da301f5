// SPDX-License-Identifier: Apache-2.0
// 3x3 layers by every algorithm, in turns on one core: how many times quicker than direct, how far
// from sums in double, and what the cost model says. Usage: bench_winograd [isa] [substring]
#include <cstdio>
#include <cstring>
#include <string>

#include "conv_layer.hpp"

using namespace bench;

namespace {

constexpr ConvAlgorithm kAlgorithms[] = {ConvAlgorithm::direct, ConvAlgorithm::winograd2,
                                         ConvAlgorithm::winograd4};

struct Size {
  int kt, in_c, out_c, in;
};
constexpr Size kSizes[] = {
    {1, 64, 192, 56},  {3, 64, 192, 56},  {1, 64, 64, 56},   {1, 128, 64, 56},  {1, 16, 32, 56},
    {1, 96, 128, 28},  {3, 96, 128, 28},  {1, 128, 192, 28}, {1, 128, 128, 28}, {1, 16, 32, 28},
    {3, 16, 32, 28},   {1, 32, 96, 28},   {1, 128, 64, 28},  {1, 96, 208, 14},  {3, 96, 208, 14},
    {3, 128, 192, 28}, {3, 128, 256, 14}, {3, 144, 288, 14}, {3, 160, 320, 14}, {1, 160, 320, 14},
    {1, 256, 256, 14}, {1, 24, 64, 14},   {1, 128, 64, 14},  {3, 24, 64, 14},   {1, 160, 320, 7},
    {3, 160, 320, 7},  {1, 512, 512, 7},  {1, 32, 128, 7},   {1, 128, 64, 7},
};

double seconds_of(const HostKernels& be, const Case& c, int repeats) {
  const int tiles = be.conv_tiles(c.s);
  const double t = now();
  for (int i = 0; i < repeats; ++i) be.conv(c.args, 0, tiles);
  return (now() - t) / repeats;
}

// Medians of rounds, each of which runs all of them.
void time_in_turns(const HostKernels& be, const Case (&cases)[3], double macs, double (&us)[3]) {
  const int repeats = std::max(1, static_cast<int>(2e7 / macs));
  std::vector<double> seconds[3];
  for (const double end = now() + 0.5; now() < end || seconds[0].size() < 7;) {
    for (int i = 0; i < 3; ++i) seconds[i].push_back(seconds_of(be, cases[i], repeats));
  }
  for (int i = 0; i < 3; ++i) us[i] = median(seconds[i]) * 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const HostKernels* be = kernels_of(argc, argv);
  if (be == nullptr) return 2;
  std::printf("%-20s %8s | %6s %6s | %6s %6s | %8s %8s %8s | %s\n", "layer", "direct us", "2x2",
              "4x4", "model", "model", "error", "2x2", "4x4", "chosen");
  int failed = 0;
  for (const Size& size : kSizes) {
    const std::string name = std::to_string(size.kt) + "x3x3 " + std::to_string(size.in_c) + "->" +
                             std::to_string(size.out_c) + " @" + std::to_string(size.in);
    if (argc > 2 && name.find(argv[2]) == std::string::npos) continue;
    Case cases[3];
    double error[3], us[3], model[3];
    for (int i = 0; i < 3; ++i) {
      set_up({"", size.kt, 3, 1, size.in_c, size.out_c, size.in}, *be, cases[i], kAlgorithms[i]);
      seconds_of(*be, cases[i], 1);
      error[i] = worst_error(cases[i]);
      model[i] = be->conv_cost(cases[i].s);
      failed += error[i] > 1e-5;
    }
    const double macs = 9.0 * size.kt * size.in_c * size.out_c * size.in * size.in;
    time_in_turns(*be, cases, macs, us);
    const auto chosen = pvnet::choose_algorithm(be, cases[0].s, pvnet::AlgorithmWish::automatic);
    std::printf("%-20s %8.1f | %6.2f %6.2f | %6.2f %6.2f | %8.1e %8.1e %8.1e | %s\n", name.c_str(),
                us[0], us[0] / us[1], us[0] / us[2], model[0] / model[1], model[0] / model[2],
                error[0], error[1], error[2], std::string(to_string(chosen)).c_str());
    std::fflush(stdout);
  }
  return failed != 0;
}
