// SPDX-License-Identifier: Apache-2.0
// From a Plan to tables: values, inputs, outputs. Operations are in op_tables.cpp.
#include "plan/device/program.hpp"

#include <limits>

#include "graph/errors.hpp"
#include "graph/limits.hpp"
#include "graph/size.hpp"
#include "plan/device/conv_tile.hpp"
#include "plan/device/limits.hpp"
#include "plan/device/op_tables.hpp"
#include "plan/device/tables.hpp"

namespace pvnet::device {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();

Status too_large(const std::string& what, const std::string& got, int64_t most) {
  return failed(Code::graph, "compile", what + " for a device", got,
                "at most " + std::to_string(most),
                "Use a smaller network, input or batch, or backend=\"cpu\".");
}

Status add_values(const Plan& plan, Program& program) {
  const int64_t element = element_bytes(dtype_of(plan));
  program.state_elements = plan.state_bytes / element;
  program.row_elements = program.state_elements + plan.scratch_bytes / element;
  for (const Value& v : plan.values) {
    pvnet_device_value d = {};
    d.offset = v.offset / element + (v.persistent ? 0 : program.state_elements);
    d.slot_stride = v.slot_bytes / element;
    d.row_stride = v.row_stride;
    d.pixel_stride = v.pixel_stride;
    d.clock = {v.clock.period, v.clock.origin};
    d.c = v.shape.c, d.h = v.shape.h, d.w = v.shape.w;
    d.depth = v.depth;
    d.persistent = v.persistent ? 1 : 0;
    if (!(Size(v.row_stride) * element).at_most(kMaxInt)) {
      return too_large("a row of the map of node " + quoted(plan.graph.nodes()[v.node].name) +
                           " has too many bytes",
                       (Size(v.row_stride) * element).text(), kMaxInt);
    }
    program.values.push_back(d);
  }
  return {};
}

void add_inputs(const Plan& plan, Tables& tables, Program& program) {
  for (size_t i = 0; i < plan.input_values.size(); ++i) {
    const int value = plan.input_values[i];
    program.inputs.push_back(
        {value, tables.own_segment(value), static_cast<int64_t>(program.floats.size())});
    for (const auto* floats : {&plan.input_scale[i], &plan.input_shift[i]}) {
      program.floats.insert(program.floats.end(), floats->begin(), floats->end());
    }
  }
}

void add_outputs(const Plan& plan, Tables& tables, Program& program) {
  for (const OutputFacts& o : plan.outputs) {
    const auto [piece0, pieces] = tables.operand_pieces(o.source, 1, 1, 0, o.shape.c);
    program.outputs.push_back(
        {piece0, pieces, o.shape.c, o.shape.h, o.shape.w, 0, program.row_floats});
    program.row_floats += int64_t{o.shape.c} * o.shape.h * o.shape.w;
  }
}

// What kernels count with 32 bits, and what a list of tiles may take.
Status check_counts(const Plan& plan, const Program& program) {
  const int64_t rows = plan.options.batch;
  Size tiles, cells, patches = Size(static_cast<int64_t>(program.patches.size()));
  for (const pv_op& op : program.ops) {
    tiles += Size(tiles_of(op)) * rows;
  }
  cells = program.partial_floats;
  if (!tiles.at_most(kMaxTiles))
    return too_large("a tick has too many tiles", tiles.text(), kMaxTiles);
  const Size slots = Size(static_cast<int64_t>(program.reads.size())) * rows;
  if (!slots.at_most(kMaxSlots)) {
    return too_large("a tick looks up too many firings", slots.text(), kMaxSlots);
  }
  for (const size_t n : {program.sources.size(), program.pieces.size(), program.patches.size()}) {
    if (static_cast<int64_t>(n) <= kMaxEntries) continue;
    return too_large("the operations read too many pieces", std::to_string(n), kMaxEntries);
  }
  if (!(cells * int64_t{sizeof(float)}).at_most(kMaxPartialBytes)) {
    return too_large("sums of parts of convolutions take too many bytes",
                     (cells * int64_t{sizeof(float)}).text(), kMaxPartialBytes);
  }
  return {};
}

}  // namespace

Result<Program> build(const Plan& plan, const ProgramOptions& options) {
  Program program;
  program.dtype = static_cast<pv_dtype>(dtype_of(plan));
  PVNET_TRY(add_values(plan, program));
  Tables tables(plan, program);
  add_inputs(plan, tables, program);
  OpTables ops(plan, options, tables, program);
  for (size_t i = 0; i < plan.ops.size(); ++i) PVNET_TRY(ops.add(static_cast<int>(i)));
  add_outputs(plan, tables, program);
  PVNET_TRY(check_counts(plan, program));
  return program;
}

}  // namespace pvnet::device
