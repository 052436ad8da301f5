// SPDX-License-Identifier: Apache-2.0
// The validator is tested with deliberately wrong plans: memory and order. What ops read and
// compute is in test_plan_damage.cpp, every field of a plan in test_plan_mutants.cpp.
#include <functional>

#include "plan/plan.hpp"

#include "nets.hpp"
#include "plan_fields.hpp"

namespace {

using pvnet::Graph;
using pvnet::Plan;

Plan copy_of(const Plan& p) {
  Plan c;
  fields::copy(p, c);
  return c;
}

std::shared_ptr<const Plan> plan_of(const Graph& g, int lanes) {
  pvnet::CompileOptions o;
  o.backend = "ref";
  o.lanes = lanes;
  o.costs = nets::heavy(g);
  return nets::must(Plan::compile(g, nets::random_weights(g), o));
}

std::vector<std::shared_ptr<const Plan>> plans() {
  std::vector<std::shared_ptr<const Plan>> out;
  const Graph g = nets::mixed();
  for (const int lanes : {1, 2, 3}) {
    out.push_back(plan_of(nets::must(g.wire(pvnet::Wiring::sequential, 1)), lanes));
    for (const int k : {1, 2, 4}) {
      out.push_back(plan_of(nets::must(g.wire(pvnet::Wiring::predictive, k)), lanes));
    }
  }
  return out;
}

int refused(Plan& broken) { return pvnet::validate(broken).ok() ? 0 : 1; }

}  // namespace

TEST(compiled_plans_pass) {
  for (const auto& p : plans()) {
    const auto s = pvnet::validate(*p);
    if (!s.ok()) std::fprintf(stderr, "%s\n", s.message().c_str());
    CHECK(s.ok());
  }
}

TEST(a_missing_or_doubled_or_shifted_tile_range_is_refused) {
  for (const auto& p : plans()) {
    for (size_t tick = 0; tick < p->schedule.size(); ++tick) {
      for (size_t ph = 0; ph < p->schedule[tick].supersteps.size(); ++ph) {
        for (size_t lane = 0; lane < p->schedule[tick].supersteps[ph].lanes.size(); ++lane) {
          const size_t n = p->schedule[tick].supersteps[ph].lanes[lane].size();
          for (size_t i = 0; i < n; ++i) {
            const auto with = [&](const std::function<void(std::vector<pvnet::TileRange>&)>& edit) {
              Plan c = copy_of(*p);
              edit(c.schedule[tick].supersteps[ph].lanes[lane]);
              return refused(c);
            };
            using Ranges = std::vector<pvnet::TileRange>;
            const auto at = static_cast<int64_t>(i);
            CHECK(with([&](Ranges& r) { r.erase(r.begin() + at); }));
            CHECK(with([&](Ranges& r) { r.insert(r.begin() + at, r[i]); }));
            CHECK(with([&](Ranges& r) { r[i].hi += 1; }));
            CHECK(with([&](Ranges& r) { r[i].lo -= 1; }));
            if (p->schedule[tick].supersteps[ph].lanes[lane][i].hi > 1) {
              CHECK(with([&](Ranges& r) { r[i].hi -= 1; }));
            }
          }
        }
      }
    }
  }
}

TEST(a_ring_that_is_too_shallow_is_refused) {
  for (const auto& p : plans()) {
    for (size_t v = 0; v < p->values.size(); ++v) {
      if (p->values[v].depth == 1) continue;
      Plan c = copy_of(*p);
      c.values[v].depth -= 1;
      CHECK(refused(c));
    }
  }
}

TEST(memory_that_overlaps_or_leaves_its_arena_is_refused) {
  for (const auto& p : plans()) {
    for (size_t v = 0; v < p->values.size(); ++v) {
      Plan c = copy_of(*p);
      c.values[v].offset = -16;
      CHECK(refused(c));
      c = copy_of(*p);
      c.values[v].offset = (p->values[v].persistent ? p->state_bytes : p->scratch_bytes) - 4;
      CHECK(refused(c));
      for (size_t u = 0; u < p->values.size(); ++u) {
        if (u == v || !p->values[v].persistent || !p->values[u].persistent) continue;
        c = copy_of(*p);
        c.values[v].offset = p->values[u].offset;
        CHECK(refused(c));
      }
    }
  }
}

TEST(scratch_that_is_still_needed_is_not_reused) {
  // a -> b -> (a + c of b), which is one op: a lives through both. Laying b or the sum, which reads
  // a while it is written, over a must be refused.
  const Graph g = nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":8,"height":6,"width":6}})",
          R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":8}})",
          R"({"op":"conv3d","name":"b","inputs":["a"],"attrs":{"out":8}})",
          R"({"op":"conv3d","name":"c","inputs":["b"],"attrs":{"out":8}})",
          R"({"op":"add","name":"s","inputs":["a","c"]})",
          R"({"op":"conv3d","name":"e","inputs":["s"],"attrs":{"out":8}})",
      },
      "e");
  const auto p = plan_of(g, 1);
  const auto value = [&](const char* name) {
    for (size_t v = 0; v < p->values.size(); ++v) {
      if (p->graph.nodes()[p->values[v].node].name == name) return v;
    }
    std::abort();
  };
  for (const char* over : {"b", "s"}) {
    Plan c = copy_of(*p);
    CHECK(!c.values[value("a")].persistent);
    c.values[value(over)].offset = c.values[value("a")].offset;
    CHECK(refused(c));
  }
}

TEST(a_reader_in_front_of_its_writer_is_refused) {
  for (const auto& p : plans()) {
    if (p->options.lanes != 1) continue;
    for (size_t tick = 0; tick < p->schedule.size(); ++tick) {
      auto& lane = p->schedule[tick].supersteps[0].lanes[0];
      for (size_t i = 0; i + 1 < lane.size(); ++i) {
        const auto& first = p->ops[lane[i].op];
        const auto& second = p->ops[lane[i + 1].op];
        bool reads = false;
        for (const auto& operand : second.operands) {
          for (const auto& s : operand) {
            int64_t delay = 0;
            for (const auto& hop : s.hops) delay += hop.delay;
            reads = reads || (s.value == first.out_value && delay == 0);
          }
        }
        if (!reads) continue;
        Plan c = copy_of(*p);
        auto& edited = c.schedule[tick].supersteps[0].lanes[0];
        std::swap(edited[i], edited[i + 1]);
        CHECK(refused(c));
      }
    }
  }
}

TEST(a_missing_barrier_is_refused) {
  for (const auto& p : plans()) {
    if (p->options.lanes == 1) continue;
    for (size_t tick = 0; tick < p->schedule.size(); ++tick) {
      const auto& supersteps = p->schedule[tick].supersteps;
      for (size_t ph = 0; ph + 1 < supersteps.size(); ++ph) {
        // Merge superstep ph + 1 into ph; wrong whenever the second reads what two lanes of the
        // first wrote. Find out by looking, then expect the same of the validator.
        bool depends = false;
        for (size_t a = 0; a < supersteps[ph].lanes.size(); ++a) {
          for (const auto& w : supersteps[ph].lanes[a]) {
            for (size_t b = 0; b < supersteps[ph + 1].lanes.size(); ++b) {
              if (a == b) continue;
              for (const auto& r : supersteps[ph + 1].lanes[b]) {
                for (const auto& operand : p->ops[r.op].operands) {
                  for (const auto& s : operand) {
                    depends = depends || (s.value == p->ops[w.op].out_value && s.hops.size() == 1 &&
                                          s.hops[0].delay == 0);
                  }
                }
              }
            }
          }
        }
        if (!depends) continue;
        Plan c = copy_of(*p);
        auto& edited = c.schedule[tick].supersteps;
        for (size_t lane = 0; lane < edited[ph].lanes.size(); ++lane) {
          auto& to = edited[ph].lanes[lane];
          const auto& from = edited[ph + 1].lanes[lane];
          to.insert(to.end(), from.begin(), from.end());
        }
        edited.erase(edited.begin() + static_cast<int64_t>(ph) + 1);
        CHECK(refused(c));
      }
    }
  }
}

TEST(work_for_a_lane_that_sleeps_is_refused) {
  for (const auto& p : plans()) {
    if (p->options.lanes == 1) continue;
    for (size_t tick = 0; tick < p->schedule.size(); ++tick) {
      Plan c = copy_of(*p);
      c.schedule[tick].solo = true;
      CHECK(refused(c));
    }
  }
}

TEST(a_tiny_tick_stays_on_one_lane) {
  const Graph g = nets::mixed();
  pvnet::CompileOptions o;
  o.lanes = 2;
  const auto p = nets::must(Plan::compile(g, nets::random_weights(g), o));
  for (const auto& tick : p->schedule) CHECK(tick.solo);
}

TEST(an_op_that_is_not_due_is_refused) {
  const auto p = plan_of(nets::must(nets::mixed().wire(pvnet::Wiring::predictive, 2)), 1);
  CHECK_EQ(p->hyper_period, 2);
  for (size_t tick = 0; tick < 2; ++tick) {
    for (size_t i = 0; i < p->ops.size(); ++i) {
      if (p->ops[i].clock.period == 1) continue;
      Plan c = copy_of(*p);
      auto& lane = c.schedule[tick].supersteps[0].lanes[0];
      bool there = false;
      for (const auto& r : lane) there = there || r.op == static_cast<int>(i);
      if (there) continue;
      lane.push_back({static_cast<int>(i), 0, c.ops[i].tiles});
      CHECK(refused(c));
    }
  }
}
