// SPDX-License-Identifier: Apache-2.0
// Levels of a tick: operations that do not depend on each other, and how lanes share their tiles.
#pragma once

#include <vector>

#include "plan/plan.hpp"

namespace pvnet {

struct Level {
  std::vector<int> ops;
  double cost = 0;
};

// Sets how long ops read their weights, in the unit of the plan's costs.
void note_reading(Plan& plan);

// What a barrier costs, in the unit of the plan's costs.
double barrier_of(const Plan& plan);
// What it costs to start the other lanes of a tick and to wait for them at its end.
double start_of(const Plan& plan);

// All of a level on one lane.
void append_whole(const Plan& plan, const Level& level, std::vector<TileRange>& lane);

struct SharedLevel {
  Superstep superstep;
  double time = 0;  // with its barrier
};

// Cuts the tiles of a level into runs of nearly equal cost, one a lane; a level that would save
// less than two barriers stays whole, on lane 0.
SharedLevel share_level(const Plan& plan, const Level& level);

// Appends a superstep; two in a row that are lane 0's alone need no barrier between them.
void append_superstep(Superstep superstep, std::vector<Superstep>& supersteps);

}  // namespace pvnet
