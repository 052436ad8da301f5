// SPDX-License-Identifier: Apache-2.0
#include "plan/scratch.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace pvnet {
namespace {

constexpr int kUnseen = -1, kSpread = -2;

int groups_of(const Plan& plan) {
  int groups = 0;
  for (const PlanOp& op : plan.ops) groups = std::max(groups, op.group + 1);
  return groups;
}

// Of one tick: the lane in whose last list a group runs, from its first operation to the last.
std::vector<int> lanes_in(const TickSchedule& tick, const Plan& plan, int groups) {
  std::vector<int> lane_of(static_cast<size_t>(groups), kUnseen);
  for (size_t k = 0; k < tick.supersteps.size(); ++k) {
    const auto& lists = tick.supersteps[k].lanes;
    for (size_t lane = 0; lane < lists.size(); ++lane) {
      int before = kUnseen;
      for (const TileRange& range : lists[lane]) {
        const int group = plan.ops[range.op].group;
        if (group == std::exchange(before, group)) continue;
        int& seen = lane_of[static_cast<size_t>(group)];
        const bool whole = seen == kUnseen && k + 1 == tick.supersteps.size();
        seen = whole ? static_cast<int>(lane) : kSpread;
      }
    }
  }
  return lane_of;
}

// The lane that a group has in every tick in which it runs.
std::vector<int> lanes_of_groups(const Plan& plan, int groups) {
  std::vector<int> lane_of(static_cast<size_t>(groups), kUnseen);
  for (const TickSchedule& tick : plan.schedule) {
    const std::vector<int> here = lanes_in(tick, plan, groups);
    for (size_t g = 0; g < here.size(); ++g) {
      if (here[g] == kUnseen || here[g] == lane_of[g]) continue;
      lane_of[g] = lane_of[g] == kUnseen ? here[g] : kSpread;
    }
  }
  return lane_of;
}

struct Room {
  int64_t begin = -1, end = -1;
  int64_t size() const { return end - begin; }
};

}  // namespace

void share_scratch(Plan& plan) {
  const int groups = groups_of(plan);
  std::vector<Room> rooms(static_cast<size_t>(groups));
  for (const PlanOp& op : plan.ops) {
    const Value& v = plan.values[op.out_value];
    if (v.persistent) continue;
    Room& room = rooms[static_cast<size_t>(op.group)];
    room.begin = room.begin < 0 ? v.offset : std::min(room.begin, v.offset);
    room.end = std::max(room.end, v.offset + v.slot_bytes);
  }
  const std::vector<int> lane_of = lanes_of_groups(plan, groups);
  std::vector<int64_t> of_lane(static_cast<size_t>(plan.options.lanes), 0);
  for (size_t g = 0; g < rooms.size(); ++g) {
    if (lane_of[g] < 0) continue;
    int64_t& size = of_lane[static_cast<size_t>(lane_of[g])];
    size = std::max(size, rooms[g].size());
  }
  int64_t end = 0;
  for (int64_t& at : of_lane) end = std::exchange(at, end) + end;
  std::vector<int64_t> moved(rooms.size(), 0);
  for (size_t g = 0; g < rooms.size(); ++g) {
    const bool alone = lane_of[g] < 0;
    moved[g] = (alone ? end : of_lane[static_cast<size_t>(lane_of[g])]) - rooms[g].begin;
    if (alone) end += rooms[g].size();
  }
  for (const PlanOp& op : plan.ops) {
    Value& v = plan.values[op.out_value];
    if (!v.persistent) v.offset += moved[static_cast<size_t>(op.group)];
  }
  plan.scratch_bytes = end;
}

}  // namespace pvnet
