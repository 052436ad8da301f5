// SPDX-License-Identifier: Apache-2.0
// Attributes of nodes as JSON: which ops have which, their ranges, reading and writing.
#pragma once

#include <string_view>

#include "graph/graph.hpp"

#include "graph/json.hpp"
#include "graph/limits.hpp"

namespace pvnet {

// Fills `attrs` from the JSON object `given` (nullptr = no attributes). Unknown keys and values out
// of range are refused. where: "Graph.<op>"; node: its name, for messages.
Status read_attrs(Op op, const json::Value* given, std::string_view where, std::string_view node,
                  Attrs& attrs);

// all: every attribute the op has; otherwise only those that differ from the default.
json::Value write_attrs(Op op, const Attrs& attrs, bool all);

}  // namespace pvnet
