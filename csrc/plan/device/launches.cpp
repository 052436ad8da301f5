// SPDX-License-Identifier: Apache-2.0
// Lists of launches: which tiles run together, and what must have ended before.
#include <algorithm>
#include <map>
#include <tuple>

#include "plan/device/conv_tile.hpp"
#include "plan/device/hazards.hpp"
#include "plan/device/op_tile.hpp"
#include "plan/device/program.hpp"
#include "plan/waves.hpp"

namespace pvnet::device {
namespace {

// Operations of the device, by that of the plan.
std::vector<std::vector<int>> ops_of(const Plan& plan, const Program& program) {
  std::vector<std::vector<int>> ops(plan.ops.size());
  for (size_t i = 0; i < program.plan_op.size(); ++i) {
    ops[static_cast<size_t>(program.plan_op[i])].push_back(static_cast<int>(i));
  }
  return ops;
}

class Gathering {
 public:
  Gathering(const Plan& plan, const Program& program, Gather how, int phase)
      : plan_(plan), program_(program), due_(due_ops(plan, phase)), ops_(ops_of(plan, program)) {
    list_.gather = how;
    list_.phase = phase;
  }

  LaunchList make() {
    assign();
    for (size_t l = 0; l < members_.size(); ++l) add_launch(l);
    add_edges();
    return std::move(list_);
  }

 private:
  const Plan& plan_;
  const Program& program_;
  const std::vector<int> due_;
  const std::vector<std::vector<int>> ops_;
  LaunchList list_;
  std::vector<std::vector<int>> members_;  // [launch]: ops of the plan
  std::vector<int> level_;                 // [launch]
  std::vector<bool> rare_;                 // [launch]
  std::map<int, int> later_;               // by group: levels by which it starts later

  const PlanOp& plan_op(int i) const { return plan_.ops[static_cast<size_t>(i)]; }

  double cost_of(const pv_op& op) const {
    return tile_cost(op, program_.dtype) *
           static_cast<double>(rectangles(op) * channel_blocks(op)) * op.splits *
           plan_.options.batch;
  }
  double cost_of_plan_op(int i) const {
    double sum = 0;
    for (const int op : ops_[static_cast<size_t>(i)]) {
      sum += cost_of(program_.ops[static_cast<size_t>(op)]);
    }
    return sum;
  }

  // Groups with fewer levels than the longest may start later.
  void level_waves() {
    std::map<int, std::vector<double>> costs;  // by group and level
    for (const int i : due_) {
      std::vector<double>& levels = costs[plan_op(i).group];
      const auto level = static_cast<size_t>(plan_op(i).level);
      if (levels.size() <= level) levels.resize(level + 1);
      levels[level] += cost_of_plan_op(i);
    }
    std::vector<std::vector<double>> chains;
    for (const auto& [group, levels] : costs) chains.push_back(levels);
    const std::vector<size_t> starts = wave_starts(chains);
    size_t c = 0;
    for (const auto& [group, levels] : costs) later_[group] = static_cast<int>(starts[c++]);
  }

  // Of the device's operations that a plan's operation becomes, all or none are.
  bool is_rare(int i) const {
    const std::vector<int>& ops = ops_[static_cast<size_t>(i)];
    return !ops.empty() && pv_is_rare(&program_.ops[static_cast<size_t>(ops[0])]) != 0;
  }

  // Which ops share a launch: those of one key, in the order of keys.
  void assign() {
    if (list_.gather == Gather::packed) level_waves();
    std::map<std::tuple<int, int, int, bool>, std::vector<int>> by_key;
    for (const int i : due_) {
      const PlanOp& op = plan_op(i);
      const auto it = later_.find(op.group);
      const int level = op.level + (it == later_.end() ? 0 : it->second);
      const bool of_group = list_.gather == Gather::op || list_.gather == Gather::group;
      const int alone = list_.gather == Gather::op ? i : 0;
      by_key[{level, of_group ? op.group : 0, alone, is_rare(i)}].push_back(i);
    }
    for (auto& [key, ops] : by_key) {
      level_.push_back(std::get<0>(key));
      rare_.push_back(std::get<3>(key));
      members_.push_back(std::move(ops));
    }
  }

  // Tiles of all rows, those of the dearest operation first.
  void add_launch(size_t number) {
    Launch launch;
    launch.first_tile = static_cast<int>(list_.tiles.size());
    launch.level = level_[number];
    launch.rare = rare_[number];
    launch.stage = plan_op(members_[number][0]).stage;
    std::vector<std::pair<double, int>> order;
    for (const int i : members_[number]) {
      if (plan_op(i).stage != launch.stage) launch.stage = -1;
      for (const int op : ops_[static_cast<size_t>(i)]) {
        order.emplace_back(-tile_cost(program_.ops[static_cast<size_t>(op)], program_.dtype), op);
      }
    }
    std::stable_sort(order.begin(), order.end());
    for (const auto& [cost, i] : order) {
      const pv_op& op = program_.ops[static_cast<size_t>(i)];
      add_tiles(i, op);
      launch.cost += cost_of(op);
      if (op.kind == PV_CONV && op.plain == 0) {
        launch.shared_bytes = std::max(launch.shared_bytes, int{pv_conv_shared_bytes(&op)});
      }
    }
    launch.tiles = static_cast<int>(list_.tiles.size()) - launch.first_tile;
    list_.launches.push_back(std::move(launch));
  }

  // Neighbours in a map beside one another: they share weights, or pixels.
  void add_tiles(int i, const pv_op& op) {
    const auto down = static_cast<int>(ceil_div(op.out_h, op.tile_h));
    const auto across = static_cast<int>(ceil_div(op.out_w, op.tile_w));
    const auto blocks = static_cast<int>(channel_blocks(op));
    for (int row = 0; row < plan_.options.batch; ++row) {
      for (int split = 0; split < op.splits; ++split) {
        for (int block = 0; block < blocks; ++block) {
          for (int y = 0; y < down; ++y) {
            for (int x = 0; x < across; ++x) list_.tiles.push_back({i, row, y, x, block, split});
          }
        }
      }
    }
  }

  void add_edges() {
    std::vector<int> launch_of(plan_.ops.size(), -1);
    for (size_t l = 0; l < members_.size(); ++l) {
      for (const int i : members_[l]) launch_of[static_cast<size_t>(i)] = static_cast<int>(l);
    }
    const auto before = hazards(plan_, list_.phase);
    std::vector<std::vector<int>> after(members_.size());
    for (const int i : due_) {
      const int mine = launch_of[static_cast<size_t>(i)];
      for (const int b : before[static_cast<size_t>(i)]) {
        after[static_cast<size_t>(mine)].push_back(launch_of[static_cast<size_t>(b)]);
      }
    }
    reduce(after);
    for (size_t l = 0; l < after.size(); ++l) list_.launches[l].after = std::move(after[l]);
  }
};

}  // namespace

LaunchList gather(const Plan& plan, const Program& program, Gather how, int phase) {
  return Gathering(plan, program, how, phase).make();
}

}  // namespace pvnet::device
