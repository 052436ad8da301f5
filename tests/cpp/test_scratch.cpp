// SPDX-License-Identifier: Apache-2.0
// Scratch that groups share: those that one lane runs one after the other, and no others.
#include <algorithm>
#include <map>
#include <set>

#include "plan/plan.hpp"

#include "nets.hpp"

namespace {

using pvnet::Plan;
using pvnet::Wiring;

// Two convolutions a stage: what lies between them is scratch.
std::shared_ptr<const Plan> plan_of(int lanes, const std::string& stride) {
  std::vector<std::string> nodes = {
      R"({"op":"input","name":"x","attrs":{"channels":8,"height":16,"width":16}})"};
  std::string before = "x";
  for (int i = 0; i < 24; ++i) {
    const std::string name = "c" + std::to_string(i);
    const std::string temporal = i == 11 ? stride : "1";
    nodes.push_back(R"({"op":"conv3d","name":")" + name + R"(","inputs":[")" + before +
                    R"("],"attrs":{"out":)" + std::to_string(8 + i % 4) +
                    R"(,"kernel":[1,3,3],"padding":[1,1],"stride":[)" + temporal + ",1,1]}}");
    before = name;
  }
  const pvnet::Graph g = nets::must(nets::make(nodes, before).wire(Wiring::predictive, 6));
  pvnet::CompileOptions o;
  o.backend = "cpu", o.lanes = lanes, o.costs = nets::heavy(g);
  return nets::must(Plan::compile(g, nets::random_weights(g), o));
}

struct Group {
  std::set<std::pair<size_t, size_t>> places;  // superstep, counted from the last one, and lane
  int64_t begin = -1, end = -1;                // of its scratch
};

std::map<int, Group> groups_of(const Plan& plan) {
  std::map<int, Group> groups;
  for (const auto& tick : plan.schedule) {
    for (size_t k = 0; k < tick.supersteps.size(); ++k) {
      for (size_t lane = 0; lane < tick.supersteps[k].lanes.size(); ++lane) {
        for (const auto& range : tick.supersteps[k].lanes[lane]) {
          const size_t to_end = tick.supersteps.size() - 1 - k;
          groups[plan.ops[range.op].group].places.insert({to_end, lane});
        }
      }
    }
  }
  for (const pvnet::PlanOp& op : plan.ops) {
    const pvnet::Value& v = plan.values[op.out_value];
    Group& group = groups[op.group];
    if (v.persistent) continue;
    group.begin = group.begin < 0 ? v.offset : std::min(group.begin, v.offset);
    group.end = std::max(group.end, v.offset + v.slot_bytes);
  }
  return groups;
}

TEST(one_lane_needs_the_scratch_of_its_largest_group) {
  for (const char* stride : {"1", "2"}) {
    const auto plan = plan_of(1, stride);
    int64_t most = 0, sum = 0;
    for (const auto& [number, group] : groups_of(*plan)) {
      if (group.begin < 0) continue;
      CHECK_EQ(group.begin, 0);
      most = std::max(most, group.end - group.begin);
      sum += group.end - group.begin;
    }
    CHECK_EQ(plan->scratch_bytes, most);
    CHECK(sum > 2 * most);
  }
}

TEST(groups_share_scratch_where_one_lane_runs_both) {
  for (const int lanes : {2, 3}) {
    for (const char* stride : {"1", "2", "3"}) {
      const auto plan = plan_of(lanes, stride);
      const auto groups = groups_of(*plan);
      int shared = 0;
      for (const auto& [a, one] : groups) {
        CHECK(one.end <= plan->scratch_bytes);
        for (const auto& [b, other] : groups) {
          if (a >= b || one.begin < 0 || other.begin < 0) continue;
          const bool meet = one.begin < other.end && other.begin < one.end;
          const bool same = one.places.size() == 1 && one.places == other.places;
          const bool last = one.places.begin()->first == 0;
          CHECK_EQ(meet, same && last);
          shared += meet;
        }
      }
      CHECK(shared > 0 || stride != std::string("1"));
    }
  }
}

}  // namespace
