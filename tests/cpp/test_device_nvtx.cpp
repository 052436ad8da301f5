// SPDX-License-Identifier: Apache-2.0
// The ranges of ticks on a device: of the thread that hands the launches over.
#include "check.hpp"

#include <string>
#include <vector>

#include "cuda_streams.hpp"
#include "nvtx_lines.hpp"

#include "graph/firing.hpp"
#include "plan/layout.hpp"

using namespace pvnet;
using namespace pvnet::test;
using namespace nvtx_lines;

namespace {

constexpr int64_t kFrames = 6;

std::vector<Line> lines_of(const char* executor, int batch) {
  auto stream = nets::must(StreamCore::create(device_plan(executor, kSlow, batch)));
  Video video(stream->plan());
  (void)take();
  for (int64_t t = 0; t < kFrames; ++t) {
    must(stream->tick(video.frames(t).data(), batch == 1 ? nullptr : mask_of(t).data()));
  }
  return take();
}

// Whether it is launched: before its first firing, too, when its tiles end at once.
bool is_launched(const Plan& plan, const PlanOp& op, int64_t t) {
  return is_due(op.clock, settled_tick(plan) + t);
}

Counts nodes_of(const Plan& plan) {
  Counts counts;
  for (int64_t t = 0; t < kFrames; ++t) {
    for (const PlanOp& op : plan.ops) {
      if (!is_launched(plan, op, t)) continue;
      ++counts[{t, plan.graph.nodes()[static_cast<size_t>(op.node)].name}];
    }
  }
  return counts;
}

std::string stage_name(const PlanOp& op) { return "stage " + std::to_string(op.stage); }

}  // namespace

TEST(launches_by_operation_show_their_stages) {
  const auto plan = ref_plan(kSlow, 1);
  std::map<std::string, std::string> stage_of;  // by node
  for (const PlanOp& op : plan->ops) {
    stage_of[plan->graph.nodes()[static_cast<size_t>(op.node)].name] = stage_name(op);
  }
  for (const char* executor : {"serial", "streams"}) {
    const std::vector<Line> lines = lines_of(executor, 1);
    CHECK((payloads(lines, "tick") == std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
    CHECK(balanced(lines));
    Counts shown = stages_of(lines);
    for (const PlanOp& op : plan->ops) {
      for (int64_t t = 0; t < kFrames; ++t) {
        if (is_launched(*plan, op, t)) CHECK((shown.contains({t, stage_name(op)})));
      }
    }
    std::erase_if(shown, [](const auto& c) { return c.first.second.starts_with("stage "); });
    CHECK(shown == nodes_of(*plan));
    std::vector<std::string> open;
    for (const Line& line : lines) {
      if (line.kind == "pop") {
        open.pop_back();
        continue;
      }
      if (stage_of.contains(line.message)) CHECK_EQ(open.back(), stage_of[line.message]);
      open.push_back(line.message);
    }
  }
}

TEST(rows_at_several_ticks_close_what_they_open) {
  for (const char* executor : {"serial", "streams"}) {
    const std::vector<Line> lines = lines_of(executor, kBatch);
    CHECK(balanced(lines));
    CHECK_EQ(payloads(lines, "tick").size(), static_cast<size_t>(kFrames));
    CHECK(!payloads(lines, "stage 0").empty());
  }
}

TEST(a_graph_is_a_tick_without_stages) {
  for (const char* executor : {"graph", "group", "wave", "packed"}) {
    const std::vector<Line> lines = lines_of(executor, 1);
    CHECK_EQ(payloads(lines, "tick").size(), static_cast<size_t>(kFrames));
    CHECK_EQ(payloads(lines, "frames in").size(), static_cast<size_t>(kFrames));
    CHECK(stages_of(lines).empty());
    CHECK(balanced(lines));
  }
}
