// SPDX-License-Identifier: Apache-2.0
// How convolutions are computed, and who decides it. The choice depends on the shape, the kernels
// and the options alone, never on a clock. So the bits of a graph are the same in every run and in
// every cut into stages.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pvnet {

struct ConvShape;
struct HostKernels;

enum class ConvAlgorithm : uint8_t {
  direct,
  winograd2,  // F(2x2, 3x3): 2.25 times fewer multiplications
  winograd4,  // F(4x4, 3x3): 4 times fewer, more rounding
  int8,  // direct, over maps and weights of 8 bits: where ranges say so (plan/quantization.hpp)
};
constexpr std::string_view to_string(ConvAlgorithm a) {
  constexpr std::string_view kNames[] = {"direct", "winograd 2x2", "winograd 4x4", "int8"};
  return a <= ConvAlgorithm::int8 ? kNames[static_cast<int>(a)] : "unknown";
}
constexpr std::optional<ConvAlgorithm> conv_algorithm_of(std::string_view name) {
  for (const auto a : {ConvAlgorithm::direct, ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
    if (to_string(a) == name) return a;
  }
  return std::nullopt;
}
// Outputs of a tile along an axis, where tiles are transformed; 0: they are not.
constexpr int tile_size(ConvAlgorithm a) {
  return a == ConvAlgorithm::winograd2 ? 2 : a == ConvAlgorithm::winograd4 ? 4 : 0;
}

// What a user asks for.
enum class AlgorithmWish : uint8_t {
  automatic,  // what the cost model of the kernels finds quickest
  direct,
  winograd,  // the quicker of the two wherever one is possible
};
constexpr std::array<std::string_view, 3> kAlgorithmNames = {"auto", "direct", "winograd"};
constexpr std::optional<AlgorithmWish> algorithm_of(std::string_view name) {
  for (size_t i = 0; i < kAlgorithmNames.size(); ++i) {
    if (kAlgorithmNames[i] == name) return static_cast<AlgorithmWish>(i);
  }
  return std::nullopt;
}

// kernels may be nullptr: those of a device know only the direct algorithm.
ConvAlgorithm choose_algorithm(const HostKernels* kernels, ConvShape shape, AlgorithmWish wish);

// Whether the kernels have the algorithm for the shape.
bool is_possible(const HostKernels* kernels, ConvShape shape, ConvAlgorithm algorithm);

}  // namespace pvnet
