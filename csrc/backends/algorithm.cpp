// SPDX-License-Identifier: Apache-2.0
#include "backends/algorithm.hpp"

#include <limits>

#include "backends/kernel_api.hpp"

namespace pvnet {
namespace {

// What an algorithm must gain over one that rounds less, or has smaller weights.
constexpr double kWorthRounding = 1.1;
constexpr double kWorthMemory = 1.2;

}  // namespace

ConvAlgorithm choose_algorithm(const HostKernels* kernels, ConvShape shape, AlgorithmWish wish) {
  if (kernels == nullptr || wish == AlgorithmWish::direct) return ConvAlgorithm::direct;
  const auto cost = [&](ConvAlgorithm a) {
    shape.algorithm = a;
    return kernels->conv_cost(shape);
  };
  const auto better = [&](ConvAlgorithm a, ConvAlgorithm b, double gain) {
    return cost(a) * gain < cost(b) ? a : b;
  };
  constexpr ConvAlgorithm kTwo = ConvAlgorithm::winograd2, kFour = ConvAlgorithm::winograd4;
  const ConvAlgorithm tiled = better(kFour, kTwo, kWorthRounding);
  if (wish == AlgorithmWish::automatic) return better(tiled, ConvAlgorithm::direct, kWorthMemory);
  return cost(tiled) < std::numeric_limits<double>::infinity() ? tiled : ConvAlgorithm::direct;
}

bool is_possible(const HostKernels* kernels, ConvShape shape, ConvAlgorithm algorithm) {
  if (algorithm == ConvAlgorithm::direct) return true;
  shape.algorithm = algorithm;
  return kernels != nullptr && kernels->conv_cost(shape) < std::numeric_limits<double>::infinity();
}

}  // namespace pvnet
