// SPDX-License-Identifier: Apache-2.0
// What a profiler sees of a plan's work: a range for a stage, and inside it one for every operation
// that is due. The thread is that of the lane that runs them, or that hands them to a device. The
// payload is the tick.
#pragma once

#include <string>
#include <vector>

#include "graph/firing.hpp"
#include "host/nvtx.hpp"
#include "plan/plan.hpp"

namespace pvnet {

// Names of stages ("stage 3") and operations (their nodes'); empty without a profiler.
class PlanNames {
 public:
  explicit PlanNames(const Plan& plan) {
    if (!nvtx::attached()) return;
    for (int s = 0; s < plan.graph.n_stages(); ++s) {
      stages_.push_back(nvtx::name(("stage " + std::to_string(s)).c_str()));
    }
    for (size_t i = 0; i < plan.ops.size(); ++i) {
      ops_.push_back(nvtx::name(plan.op_name(i).c_str()));
    }
  }
  nvtx::Name stage(int s) const { return stages_[static_cast<size_t>(s)]; }
  nvtx::Name op(int o) const { return ops_[static_cast<size_t>(o)]; }

 private:
  std::vector<nvtx::Name> stages_, ops_;
};

// Of one list of tile ranges. A stage is open from its first operation to the last one in a row.
class PlanRanges {
 public:
  PlanRanges(const Plan& plan, const PlanNames& names, int64_t tick)
      : plan_(plan), names_(names), tick_(tick) {}
  ~PlanRanges() { leave(); }
  PlanRanges(const PlanRanges&) = delete;
  PlanRanges& operator=(const PlanRanges&) = delete;

  // To be held while the tiles of op `index` run.
  [[nodiscard]] nvtx::Range op(int index) {
    if (!nvtx::attached()) return {};
    const PlanOp& op = plan_.ops[static_cast<size_t>(index)];
    if (!is_due(op.clock, tick_)) return {};
    return launched(index);
  }
  // The same of an op that is handed over, due or not. A profiler is attached.
  [[nodiscard]] nvtx::Range launched(int index) {
    enter(plan_.ops[static_cast<size_t>(index)].stage);
    return {nvtx::Category::stage, names_.op(index), tick_};
  }

 private:
  void enter(int stage) {
    if (stage == stage_) return;
    leave();
    nvtx::detail::push(nvtx::Category::stage, names_.stage(stage), tick_);
    stage_ = stage;
  }
  void leave() {
    if (stage_ >= 0) nvtx::pop();
    stage_ = -1;
  }

  const Plan& plan_;
  const PlanNames& names_;
  const int64_t tick_;
  int stage_ = -1;  // the one that is open
};

}  // namespace pvnet
