// SPDX-License-Identifier: Apache-2.0
// How the launches of a tick reach a device: the bits do not depend on it.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace pvnet {

enum class ExecutorKind : uint8_t {
  automatic,  // measures the others, keeps the quickest
  serial,     // a launch an operation, in order on one cuda_stream: the oracle of the rest
  streams,    // stages on several cuda_streams, with events between them
  graph,      // a node of a CUDA graph for every operation
  group,      // a node for every level of a stage
  wave,       // a node for every level, of all stages together
  packed      // as wave, with the stages shifted so that waves are level
};

constexpr std::array<std::string_view, 7> kExecutorNames = {"auto",  "serial", "streams", "graph",
                                                            "group", "wave",   "packed"};

constexpr std::string_view to_string(ExecutorKind kind) {
  return kExecutorNames[static_cast<size_t>(kind)];
}
constexpr std::optional<ExecutorKind> executor_of(std::string_view name) {
  for (size_t i = 0; i < kExecutorNames.size(); ++i) {
    if (kExecutorNames[i] == name) return static_cast<ExecutorKind>(i);
  }
  return std::nullopt;
}

}  // namespace pvnet
