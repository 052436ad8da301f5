// SPDX-License-Identifier: Apache-2.0
// The ranges of ticks, as a profiler gets them (nvtx_counter.cpp).
#include <cmath>
#include <set>

#include "graph/firing.hpp"
#include "runtime/stream.hpp"
#include "runtime/test_hooks.hpp"

#include "nets.hpp"
#include "nvtx_lines.hpp"

using namespace nvtx_lines;

namespace {

struct Net {
  std::shared_ptr<const pvnet::Plan> plan;
  std::unique_ptr<pvnet::StreamCore> stream;
  std::vector<float> frame = std::vector<float>(3 * 12 * 10, 0.5f);
  std::vector<float> output;

  Net(int lanes, int batch, int stages) {
    const auto wiring = stages > 1 ? pvnet::Wiring::predictive : pvnet::Wiring::sequential;
    const pvnet::Graph g = nets::must(nets::mixed().wire(wiring, stages));
    pvnet::CompileOptions o;
    o.backend = "cpu";
    o.lanes = lanes;
    o.batch = batch;
    o.pin = false;
    o.fixed_lanes = true;
    o.costs = nets::heavy(g);
    plan = nets::must(pvnet::Plan::compile(g, nets::random_weights(g), o));
    stream = nets::must(pvnet::StreamCore::create(plan));
    output.resize(static_cast<size_t>(batch) * 5 * 6 * 5);
  }

  pvnet::FrameView view() const {
    pvnet::FrameView v;
    v.data = frame.data();
    v.strides[0] = 120, v.strides[1] = 10, v.strides[2] = 1;
    v.h = 12, v.w = 10, v.c = 3;
    return v;
  }

  void tick(const uint8_t* mask = nullptr) {
    const std::vector<pvnet::FrameView> frames(static_cast<size_t>(plan->options.batch), view());
    float* outputs[] = {output.data()};
    int64_t ticks[8];
    bool valid[8];
    const pvnet::TickResults results{outputs, ticks, valid};
    CHECK(stream->tick(frames.data(), mask, &results).ok());
  }
};

// Every range that the schedule of these ticks stands for.
Counts expected(const pvnet::Plan& plan, int64_t ticks) {
  Counts out;
  for (int64_t t = 0; t < ticks; ++t) {
    for (const auto& superstep : plan.schedule[t % plan.hyper_period].supersteps) {
      for (const auto& list : superstep.lanes) {
        int stage = -1;
        for (const pvnet::TileRange& range : list) {
          const pvnet::PlanOp& op = plan.ops[range.op];
          if (!pvnet::is_due(op.clock, t)) continue;
          ++out[{t, plan.graph.nodes()[op.node].name}];
          if (op.stage != stage) ++out[{t, "stage " + std::to_string(op.stage)}];
          stage = op.stage;
        }
      }
    }
  }
  return out;
}

}  // namespace

TEST(the_domain_and_its_categories_have_names) {
  Net net(1, 1, 1);
  CHECK(pvnet::nvtx::attached());
  std::vector<std::string> domains, categories;
  for (const Line& line : take()) {
    if (line.kind == "domain") domains.push_back(line.domain);
    if (line.kind == "category") {
      categories.push_back(std::to_string(line.category) + " " + line.message);
    }
  }
  CHECK(domains == std::vector<std::string>{"pvnet"});
  CHECK((categories == std::vector<std::string>{"1 tick", "2 stage", "3 io"}));
}

TEST(a_tick_is_a_range_with_its_frame_and_its_outputs_inside) {
  Net net(1, 1, 3);
  take();
  for (int t = 0; t < 5; ++t) net.tick();
  const auto lines = take();
  const std::vector<int64_t> all{0, 1, 2, 3, 4};
  for (const char* name : {"tick", "frames in", "outputs"}) CHECK(payloads(lines, name) == all);
  for (const Line& line : lines) {
    CHECK_EQ(line.domain, "pvnet");
    if (line.message == "tick") CHECK(line.depth == 0 && line.category == 1);
    if (line.message == "outputs") CHECK(line.depth == 1 && line.category == 3);
  }
  CHECK(balanced(lines));
}

TEST(every_lane_shows_its_stages_and_their_due_operations) {
  constexpr int64_t kTicks = 9;
  for (const int lanes : {1, 2, 3}) {
    for (const int stages : {1, 3}) {
      Net net(lanes, 1, stages);
      take();
      for (int64_t t = 0; t < kTicks; ++t) net.tick();
      const auto lines = take();
      CHECK(stages_of(lines) == expected(*net.plan, kTicks));
      CHECK(balanced(lines));
      std::set<int> threads;
      for (const Line& line : lines) threads.insert(line.thread);
      CHECK_EQ(threads.size(), static_cast<size_t>(lanes));
    }
  }
}

TEST(an_operation_lies_inside_its_stage_on_the_lane_that_runs_it) {
  Net net(2, 1, 3);
  std::map<std::string, std::string> stage_of;
  for (const pvnet::PlanOp& op : net.plan->ops) {
    stage_of[net.plan->graph.nodes()[op.node].name] = "stage " + std::to_string(op.stage);
  }
  take();
  for (int t = 0; t < 6; ++t) net.tick();
  std::map<int, std::vector<std::string>> open;  // by thread
  int operations = 0;
  for (const Line& line : take()) {
    auto& names = open[line.thread];
    if (line.kind == "pop") {
      names.pop_back();
      continue;
    }
    if (stage_of.contains(line.message)) {
      CHECK(!names.empty() && names.back() == stage_of[line.message]);
      ++operations;
    }
    names.push_back(line.message);
  }
  CHECK(operations > 6 * 4);
}

TEST(one_thread_that_makes_all_shows_the_same_ranges) {
  Net net(2, 1, 3);
  pvnet::StreamHooks::make_ticks(*net.stream, pvnet::TickWay::alone);
  take();
  for (int t = 0; t < 6; ++t) net.tick();
  const auto lines = take();
  CHECK(stages_of(lines) == expected(*net.plan, 6));
  CHECK(balanced(lines));
  for (const Line& line : lines) CHECK_EQ(line.thread, lines.front().thread);
}

TEST(rows_that_stand_elsewhere_have_payloads_of_their_own) {
  Net net(1, 2, 1);  // the hyper-period is 2
  CHECK_EQ(net.plan->hyper_period, 2);
  const uint8_t second[] = {0, 1};
  take();
  net.tick(second);
  net.tick();
  const auto lines = take();
  // In the second tick row 0 makes its tick 0 and row 1 its tick 1, each by a schedule of its own.
  CHECK((payloads(lines, "tick") == std::vector<int64_t>{0, 0}));
  CHECK((payloads(lines, "a") == std::vector<int64_t>{0, 0, 1}));
  CHECK(balanced(lines));
}

TEST(a_refused_frame_leaves_no_range_open) {
  Net net(1, 1, 1);
  take();
  net.frame[7] = std::nanf("");
  const pvnet::FrameView frame = net.view();
  CHECK(net.stream->tick(&frame).code() == pvnet::Code::invalid_argument);
  const auto lines = take();
  CHECK_EQ(lines.size(), size_t{4});
  CHECK(balanced(lines));
  CHECK(payloads(lines, "stage 0").empty());
}
