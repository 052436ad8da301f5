// SPDX-License-Identifier: Apache-2.0
// A Plan as a device runs it (kernels/program.h): host data, made by compile() for a backend whose
// kernels run on a device, and uploaded as it is. No CUDA header, compiled in every build.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "graph/status.hpp"
#include "kernels/program.h"
#include "plan/plan.hpp"

namespace pvnet::device {

// The tables that do not depend on how launches are cut. Immutable, shared by every Stream.
struct Program {
  pv_dtype dtype = PV_F32;
  std::vector<pvnet_device_value> values;
  std::vector<pvnet_device_segment> segments;
  std::vector<pv_read> reads;
  std::vector<pv_source> sources;
  std::vector<pv_piece> pieces;
  std::vector<pv_patch> patches;
  std::vector<pv_op> ops;  // of PlanOp `plan_op[i]`; one PlanOp may be several (groups)
  std::vector<int> plan_op;
  std::vector<pv_input> inputs;
  std::vector<pv_output> outputs;
  std::vector<float> floats;  // biases, scales, shifts
  int64_t row_elements = 0;   // state, then scratch
  int64_t state_elements = 0;
  int64_t row_floats = 0;  // results of a row
  int64_t partial_floats = 0;
  int64_t counters = 0;
  int64_t weight_bytes = 0;  // of Plan::packed

  int64_t result_bytes(int rows) const {
    return static_cast<int64_t>(sizeof(pv_result)) + rows * row_floats * int64_t{sizeof(float)};
  }
};

// How the tiles of a tick are gathered into launches.
enum class Gather : uint8_t {
  op,      // a launch an operation
  group,   // a launch a level of a stage
  wave,    // a launch a level, of all stages
  packed,  // as wave; stages with fewer levels than the longest start later, so that waves are
           // level
};
constexpr const char* to_string(Gather g) {
  constexpr const char* kNames[] = {"op", "group", "wave", "packed"};
  return kNames[static_cast<int>(g)];
}

struct Launch {
  int first_tile = 0, tiles = 0;  // of LaunchList::tiles
  std::vector<int> after;  // launches that must have ended before; all others may run beside it
  int stage = -1;          // -1: of several stages
  int level = 0;
  bool rare = false;     // pv_is_rare() of all of it: another kernel makes it
  int shared_bytes = 0;  // the most that a tile of it needs
  double cost = 0;       // in the unit of the cost model
};

// Everything between `begin` and `end` of a tick. Launches are in an order that `after` allows.
struct LaunchList {
  Gather gather = Gather::op;
  int phase = -1;  // tick mod hyper-period; -1: every operation, due or not (its tiles end at once)
  std::vector<pv_tile> tiles;
  std::vector<Launch> launches;
};

struct ProgramOptions {
  bool plain = false;  // every operation by the simple kernels
};

// Tables of `plan`, all but the biases, which pack() writes beside the packed weights.
Result<Program> build(const Plan& plan, const ProgramOptions& options = {});
LaunchList gather(const Plan& plan, const Program& program, Gather how, int phase);

// Proves tables and launches from the Plan: every output pixel is written once, splits are exact,
// launches without an order touch different slots, scratch, partial sums and counters, every read
// lies inside its slot and finds the firing that the Plan says, every index is inside its table.
Status check(const Plan& plan, const Program& program);
Status check(const Plan& plan, const Program& program, const LaunchList& list);

}  // namespace pvnet::device
