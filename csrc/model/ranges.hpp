// SPDX-License-Identifier: Apache-2.0
// Ranges of the values of nodes, which int8 needs, as a model file keeps them: JSON in its
// metadata.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "graph/status.hpp"
#include "model/model_file.hpp"

namespace pvnet {

constexpr const char* kRangesKey = "ranges";  // {"node": [low, high], ...}

using Ranges = std::map<std::string, std::pair<float, float>>;

// Those of a model file's metadata; none where it has no such key. Finite, low <= 0 <= high;
// whether the names are those of nodes is for compile() to say.
Result<Ranges> stored_ranges(const Metadata& metadata);

}  // namespace pvnet
