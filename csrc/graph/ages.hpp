// SPDX-License-Identifier: Apache-2.0
// Ages of what every stage contributed to the outputs, from the first tick on.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.hpp"

namespace pvnet {

// age_ticks[tick][stage] of one output for ticks 0 .. ticks - 1; see OutputAnalysis.
using AgeTable = std::vector<std::vector<int64_t>>;

// local: by node, the ticks after which the clocks of the node and of all it depends on repeat.
Result<std::vector<AgeTable>> age_tables(const Graph& graph, const std::vector<int64_t>& local,
                                         int64_t ticks);

// By node: the last node that reads it (feedback does not count), -1 for none.
std::vector<int> last_readers(const std::vector<Node>& nodes);

Status too_large_to_analyse(const char* what, const std::string& got, int64_t limit);

}  // namespace pvnet
