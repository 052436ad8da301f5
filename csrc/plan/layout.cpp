// SPDX-License-Identifier: Apache-2.0
#include "plan/layout.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "backends/backend.hpp"
#include "backends/kernel_api.hpp"
#include "graph/errors.hpp"
#include "graph/firing.hpp"
#include "graph/limits.hpp"
#include "graph/size.hpp"
#include "plan/device/program.hpp"
#include "plan/op_params.hpp"
#include "plan/place.hpp"
#include "plan/resolve.hpp"

namespace pvnet {
namespace {

Status too_large(const std::string& what, const std::string& got, const std::string& expected,
                 const char* cure) {
  return failed(Code::graph, "compile", what, got, expected, cure);
}

Size stream_size(const Plan& plan) {
  constexpr int64_t kFloat = sizeof(float);  // of results
  Size row = Size(plan.state_bytes) + plan.scratch_bytes;
  for (const OutputFacts& o : plan.outputs) {
    row += Size(o.shape.c) * o.shape.h * o.shape.w * kFloat;
  }
  const Size lane = Size(plan.lane_bytes) + Size(plan.max_segments) * int64_t{sizeof(SegmentView)} +
                    Size(most_reads(plan)) * int64_t{sizeof(float*)};
  Size all = row * plan.options.batch + lane * plan.options.lanes;
  if (plan.device == nullptr && plan.options.batch > 1) {  // lanes have scratch of their own
    all += Size(plan.scratch_bytes) * plan.options.lanes;
  }
  if (plan.device != nullptr) {  // and what its kernels need beside the maps
    const auto reads = static_cast<int64_t>(plan.device->reads.size());
    all += Size(reads) * plan.options.batch * int64_t{sizeof(int64_t)};
    all += Size(plan.device->partial_floats) * kFloat;
    all += Size(plan.device->counters) * int64_t{sizeof(int32_t)};
  }
  return all;
}

}  // namespace

int64_t most_reads(const Plan& plan) {
  int64_t most = 1;
  for (const PlanOp& op : plan.ops) {
    for (const auto& operand : op.operands) {
      most = std::max(most, static_cast<int64_t>(operand.size()) * op.taps);
    }
  }
  return most;
}

int64_t Plan::stream_bytes() const { return stream_size(*this).value(); }

Status check_stream_bytes(const Plan& plan) {
  const Size bytes = stream_size(plan);
  if (bytes.at_most(kMaxBytes)) return {};
  return too_large("a stream of the network does not fit any memory",
                   bytes.text() + " bytes for a batch of " + std::to_string(plan.options.batch),
                   "at most " + std::to_string(kMaxBytes), "Use a smaller batch or input.");
}

std::vector<std::vector<Reader>> readers_of_values(const Plan& plan) {
  std::vector<std::vector<Reader>> readers(plan.values.size());
  for (size_t i = 0; i < plan.ops.size(); ++i) {
    const PlanOp& op = plan.ops[i];
    for (size_t k = 0; k < op.operands.size(); ++k) {
      const int taps = op.taps_of(k);
      for (const Segment& s : op.operands[k]) {
        readers[s.value].push_back({static_cast<int>(i), op.clock, taps, op.dilation, &s});
      }
    }
  }
  for (const OutputFacts& o : plan.outputs) {
    for (const Segment& s : o.source) readers[s.value].push_back({-1, Clock{1, 0}, 1, 1, &s});
  }
  return readers;
}

int64_t settled_tick(const Plan& plan) {
  const int64_t far = int64_t{1} << 40;
  return far / plan.hyper_period * plan.hyper_period;
}

int64_t needed_depth(const Plan& plan, const Value& value, const Reader& reader) {
  // What is read repeats with the periods on the way.
  int64_t round = std::lcm(reader.clock.period, value.clock.period);
  for (const Hop& hop : reader.segment->hops) round = std::lcm(round, hop.clock.period);
  const int64_t start = settled_tick(plan) + reader.clock.origin % reader.clock.period;
  const int64_t back = int64_t{reader.taps - 1} * reader.dilation;
  int64_t depth = 1;
  for (int64_t t = start; t < start + round; t += reader.clock.period) {
    const int64_t newest = firing_at(value.clock, t, 0);
    depth = std::max(depth, newest - resolve_firing_settled(*reader.segment, t, back) + 1);
  }
  return depth;
}

// The neediest call's.
int64_t lane_bytes(const Plan& plan) {
  size_t most = 0;
  if (plan.backend->kernels == nullptr) return 0;
  for (const PlanOp& op : plan.ops) {
    if (op.params->op != Op::conv3d) continue;
    most = std::max(most, plan.backend->kernels->conv_scratch_floats(op.params->conv));
  }
  return static_cast<int64_t>(most * sizeof(float));
}

Status lay_out(Plan& plan) {
  const auto readers = readers_of_values(plan);
  std::vector<const PlanOp*> writer(plan.values.size(), nullptr);
  for (const PlanOp& op : plan.ops) writer[op.out_value] = &op;

  std::map<int, std::vector<Lifetime>> scratch;  // by group
  int64_t state = 0;  // no sum of rings leaves 63 bits: each is at most kMaxBytes
  for (size_t v = 0; v < plan.values.size(); ++v) {
    Value& value = plan.values[v];
    int64_t depth = 1;
    bool held = writer[v] == nullptr;  // frames are written before the tick: keep them apart
    int last = held ? 0 : writer[v]->level;
    for (const Reader& r : readers[v]) {
      depth = std::max(depth, needed_depth(plan, value, r));
      if (r.op < 0 || held) {
        held = true;
        continue;
      }
      const PlanOp& op = plan.ops[r.op];
      last = std::max(last, op.level);
      // Read in the very tick it was written, always, and by the group that wrote it.
      int64_t delay = 0;
      for (const Hop& hop : r.segment->hops) delay += hop.delay;
      const bool same_clocks = std::all_of(r.segment->hops.begin(), r.segment->hops.end(),
                                           [&](const Hop& hop) { return hop.clock == op.clock; });
      if (op.group != writer[v]->group || delay != 0 || r.taps != 1 || !same_clocks ||
          op.clock != value.clock) {
        held = true;
      }
    }
    const Size ring = Size(depth) * value.slot_bytes;
    if (depth > kMaxDepth || !ring.at_most(kMaxBytes)) {
      return too_large(
          "the ring of node " + quoted(plan.graph.nodes()[value.node].name) +
              " does not fit any memory",
          std::to_string(depth) + " slots of " + std::to_string(value.slot_bytes) + " bytes",
          "at most " + std::to_string(kMaxDepth) + " slots and " + std::to_string(kMaxBytes) +
              " bytes",
          "Shorten its delays, dilation or window.");
    }
    value.depth = static_cast<int>(depth);
    value.persistent = held || depth > 1;
    if (value.persistent) {
      value.offset = state;
      state += ring.value();
    } else {
      scratch[writer[v]->group].push_back(
          {static_cast<int>(v), writer[v]->level, last, value.slot_bytes, 0});
    }
  }
  int64_t end = 0;
  for (auto& [group, lives] : scratch) {
    const int64_t size = place(lives);
    for (const Lifetime& life : lives) plan.values[life.value].offset = end + life.offset;
    end += size;
  }
  if (state + end > kMaxBytes) {
    return too_large("the network does not fit any memory",
                     std::to_string(state + end) + " bytes in a batch row",
                     "at most " + std::to_string(kMaxBytes), "Use a smaller input.");
  }
  plan.state_bytes = state;
  plan.scratch_bytes = end;
  plan.lane_bytes = lane_bytes(plan);
  return {};
}

}  // namespace pvnet
