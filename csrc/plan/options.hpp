// SPDX-License-Identifier: Apache-2.0
// Ranges and names of the options of compile().
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "backends/algorithm.hpp"
#include "backends/kernel_api.hpp"
#include "plan/plan.hpp"

namespace pvnet {

constexpr int kMaxLanes = 256;
constexpr int kMaxBatch = 4096;
constexpr std::array<std::string_view, 2> kMemoryNames = {"fast", "small"};

// What the options, which compile() has looked at, say of convolutions. Nothing: they are wrong.
inline std::optional<AlgorithmWish> wish_of(const CompileOptions& o) {
  const auto wish = algorithm_of(o.algorithm);
  if (o.memory == kMemoryNames[0]) return wish;
  if (o.memory != kMemoryNames[1] || wish == AlgorithmWish::winograd) return std::nullopt;
  return wish.has_value() ? std::optional(AlgorithmWish::direct) : std::nullopt;
}

// What a convolution is computed by, with options that compile() has looked at; int8: by what it
// reads (quantization.hpp).
inline ConvAlgorithm algorithm_for(const CompileOptions& o, const HostKernels* kernels,
                                   const ConvShape& shape, const std::string& node, bool int8) {
  if (int8) return ConvAlgorithm::int8;
  const auto own = o.algorithms.find(node);
  if (own == o.algorithms.end()) return choose_algorithm(kernels, shape, *wish_of(o));
  return conv_algorithm_of(own->second).value_or(ConvAlgorithm::direct);
}

}  // namespace pvnet
