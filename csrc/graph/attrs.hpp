// SPDX-License-Identifier: Apache-2.0
// Attributes of nodes as JSON: which ops have which, their ranges, reading and writing.
#pragma once

#include <string_view>

#include <pvnet/graph.hpp>

#include "graph/json.hpp"

namespace pvnet {

// Ranges that keep every product below in 64 bits and every analysis finite.
constexpr int64_t kMaxNodes = 100'000;
constexpr int64_t kMaxInputs = 4096;                // of one node
constexpr int kMaxEltInputs = 16;                   // of add and mul
constexpr int64_t kMaxElements = int64_t{1} << 31;  // of one frame of a value
constexpr int64_t kMaxHyperPeriod = 4096;           // ticks

// Fills `attrs` from the JSON object `given` (nullptr = no attributes). Unknown keys and values out
// of range are refused. where: "Graph.<op>"; node: its name, for messages.
Status read_attrs(Op op, const json::Value* given, std::string_view where, std::string_view node,
                  Attrs& attrs);

// all: every attribute the op has; otherwise only those that differ from the default.
json::Value write_attrs(Op op, const Attrs& attrs, bool all);

}  // namespace pvnet
