// SPDX-License-Identifier: Apache-2.0
// Temporal facts of every output, computed from clocks and delays alone: information latency,
// warm-up, receptive field, age of what every stage contributed.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.hpp"

namespace pvnet {

struct OutputAnalysis {
  int64_t information_latency_ticks = 0;  // smallest sum of delays, feedback not followed
  int64_t warm_up_ticks = 0;              // first tick from which the output is always valid
  int64_t receptive_field_frames = 0;     // newest - oldest + 1, steady state; 0: unbounded
  // age_ticks[tick][stage] for ticks 0 .. settle_ticks + hyper_period - 1; from settle_ticks on it
  // repeats. At tick t: t - newest frame on a path of newest taps through a node of that stage; -1:
  // nothing contributed yet, or the stage does not reach this output.
  std::vector<std::vector<int64_t>> age_ticks;
};

struct Analysis {
  int64_t hyper_period = 1;
  int64_t settle_ticks = 0;  // warm-up of the slowest node
  std::vector<OutputAnalysis> outputs;
};

// The graph must have passed check(). Fails where tables would be absurdly large. with_ages = false
// leaves age_ticks empty and so also handles delays of a million ticks.
Result<Analysis> analyse(const Graph& graph, bool with_ages = true);

}  // namespace pvnet
