// SPDX-License-Identifier: Apache-2.0
// SharedLists: every tile of a tick is given away once, when what it needs is there, to lanes that
// may come and go as they like.
#include "runtime/cpu/shared_lists.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "plan/op_params.hpp"

#include "nets.hpp"

namespace {

using pvnet::Plan;
using pvnet::SharedLists;
using pvnet::Wiring;

constexpr int kLanes = 3;

std::shared_ptr<const Plan> plan_of(Wiring wiring, int stages, double us = 1000) {
  const pvnet::Graph g = nets::must(nets::mixed().wire(wiring, stages));
  pvnet::CompileOptions o;
  o.backend = "cpu", o.lanes = kLanes;
  o.costs = nets::heavy(g);
  for (auto& [name, cost] : o.costs) cost = us;
  return nets::must(Plan::compile(g, nets::random_weights(g), o));
}

// [superstep][lane][entry of the list][tile of the entry]: how often it was given away.
struct Given {
  const pvnet::TickSchedule& tick;
  std::vector<std::vector<std::vector<std::vector<int>>>> times;

  explicit Given(const pvnet::TickSchedule& schedule) : tick(schedule) {
    for (const auto& superstep : tick.supersteps) {
      auto& lanes = times.emplace_back();
      for (const auto& list : superstep.lanes) {
        auto& entries = lanes.emplace_back();
        for (const auto& range : list) entries.emplace_back(range.hi - range.lo, 0);
      }
    }
  }
  bool done(size_t superstep, size_t lane, size_t entry) const {
    const auto& tiles = times[superstep][lane][entry];
    return std::all_of(tiles.begin(), tiles.end(), [](int n) { return n == 1; });
  }
  bool done(size_t superstep) const {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      for (size_t e = 0; e < times[superstep][lane].size(); ++e) {
        if (!done(superstep, lane, e)) return false;
      }
    }
    return true;
  }
  // Notes a chunk; whether the entries and supersteps before it are done.
  bool note(const SharedLists::Chunk& chunk) {
    const auto lane = static_cast<size_t>(chunk.list);
    for (size_t k = 0; k < times.size(); ++k) {
      const auto& list = tick.supersteps[k].lanes[lane];
      for (size_t e = 0; e < list.size(); ++e) {
        const auto& r = list[e];
        const bool here =
            r.op == chunk.range.op && r.lo <= chunk.range.lo && chunk.range.hi <= r.hi;
        if (!here || done(k, lane, e)) continue;
        for (int t = chunk.range.lo; t < chunk.range.hi; ++t) ++times[k][lane][e][t - r.lo];
        for (size_t before = 0; before < k; ++before) {
          if (!done(before)) return false;
        }
        return e == 0 || done(k, lane, e - 1);
      }
    }
    return false;
  }
  bool all_done() const {
    for (size_t k = 0; k < times.size(); ++k) {
      if (!done(k)) return false;
    }
    return true;
  }
};

TEST(one_lane_gets_every_tile_once_and_in_order) {
  for (const auto& plan : {plan_of(Wiring::sequential, 1), plan_of(Wiring::predictive, 4)}) {
    SharedLists lists(*plan);
    CHECK(!lists.is_open());
    for (size_t t = 0; t < plan->schedule.size(); ++t) {
      Given given(plan->schedule[t]);
      lists.open(static_cast<int64_t>(t));
      SharedLists::Chunk chunk;
      while (lists.take(1, chunk)) {
        CHECK(given.note(chunk));
        lists.end(chunk);
      }
      CHECK(!lists.is_open());
      CHECK(given.all_done());
    }
    const SharedLists::Counts counts = lists.take_counts();
    CHECK(counts.taken_over > 0);
    CHECK(counts.chunks > counts.taken_over);
    CHECK_EQ(lists.take_counts().chunks, 0);
  }
}

// It comes to an end only where the next entry, or the next superstep, needs that chunk.
TEST(a_lane_that_stops_holds_up_what_needs_its_chunk) {
  const auto plan = plan_of(Wiring::predictive, 4);
  const pvnet::TickSchedule& tick = plan->schedule.back();
  SharedLists lists(*plan);
  Given given(tick);
  lists.open(static_cast<int64_t>(plan->schedule.size()) - 1);
  SharedLists::Chunk held, chunk;
  CHECK(lists.take(0, held));
  while (lists.take(1, chunk)) {
    CHECK(given.note(chunk));
    lists.end(chunk);
  }
  CHECK(lists.is_open());
  for (size_t lane = 0; lane < kLanes; ++lane) {
    for (size_t e = 0; e < given.times[0][lane].size(); ++e) {
      CHECK(given.done(0, lane, e) == (static_cast<int>(lane) != held.list));
    }
  }
  CHECK(given.note(held));
  lists.end(held);
  while (lists.take(1, chunk)) {
    CHECK(given.note(chunk));
    lists.end(chunk);
  }
  CHECK(given.all_done());
}

TEST(short_entries_stay_whole) {
  for (const double us : {3.0, 1000.0}) {
    const auto plan = plan_of(Wiring::predictive, 4, us);
    SharedLists lists(*plan);
    lists.open(0);
    SharedLists::Chunk chunk;
    int pieces = 0;
    while (lists.take(0, chunk)) {
      pieces = std::max(pieces, chunk.pieces);
      lists.end(chunk);
    }
    CHECK_EQ(pieces, us < 4 ? 1 : 4);
  }
}

// What is transformed once for all channels is not cut between channels where it need not be.
TEST(chunks_of_winograd_are_of_whole_groups) {
  const pvnet::Graph g = nets::make(
      {R"({"op":"input","name":"x","attrs":{"channels":64,"height":112,"width":112}})",
       R"({"op":"conv3d","name":"y","inputs":["x"],"attrs":{"out":64,"kernel":[1,3,3],"padding":[1,1]}})"},
      "y");
  pvnet::CompileOptions o;
  o.backend = "cpu", o.lanes = 2, o.algorithm = "winograd";
  o.costs = {{"x", 0.0}, {"y", 1000.0}};
  const auto plan = nets::must(Plan::compile(g, nets::random_weights(g), o));
  const pvnet::PlanOp& op = plan->ops.at(0);
  CHECK(pvnet::tile_size(op.params->conv.algorithm) > 0);
  const int units = 64 / pvnet::kTransformedUnit;
  SharedLists lists(*plan);
  lists.open(0);
  SharedLists::Chunk chunk;
  int chunks = 0;
  while (lists.take(0, chunk)) {
    const auto& list = plan->schedule[0].supersteps[0].lanes[static_cast<size_t>(chunk.list)];
    const auto is_cut = [&](int tile) { return tile == list[0].lo || tile == list[0].hi; };
    CHECK(chunk.range.lo % units == 0 || is_cut(chunk.range.lo));
    CHECK(chunk.range.hi % units == 0 || is_cut(chunk.range.hi));
    lists.end(chunk);
    ++chunks;
  }
  CHECK(chunks >= 4);
}

// Threads that take when they like, some of them late, over many ticks.
TEST(threads_that_come_and_go_do_every_tile_once) {
  const auto plan = plan_of(Wiring::predictive, 3);
  SharedLists lists(*plan);
  std::map<int, std::vector<std::atomic<int>>> times;  // op -> tile
  for (size_t i = 0; i < plan->ops.size(); ++i) {
    times.try_emplace(static_cast<int>(i), static_cast<size_t>(plan->ops[i].tiles));
  }
  std::atomic<bool> stop{false};
  const auto help = [&](int lane) {
    SharedLists::Chunk chunk;
    for (uint32_t n = static_cast<uint32_t>(lane); lists.is_open();) {
      const uint32_t turn = lists.turn();
      if (!lists.take(lane, chunk)) {
        if (!lists.is_open() || !lists.wait(lane, turn, chunk)) continue;
      }
      for (int t = chunk.range.lo; t < chunk.range.hi; ++t) {
        times.at(chunk.range.op)[static_cast<size_t>(t)].fetch_add(1, std::memory_order_relaxed);
      }
      n = n * 1664525 + 1013904223;
      if (n >> 28 == 0) std::this_thread::yield();
      lists.end(chunk);
    }
  };
  std::vector<std::thread> threads;
  for (int lane = 1; lane < kLanes; ++lane) {
    threads.emplace_back([&, lane] {
      while (!stop.load()) help(lane);
    });
  }
  constexpr int kTicks = 400;
  const auto hyper = static_cast<int64_t>(plan->schedule.size());
  std::vector<int> due(plan->ops.size(), 0);
  for (int t = 0; t < kTicks; ++t) {
    lists.open(t % hyper);
    help(0);
    for (const auto& superstep : plan->schedule[static_cast<size_t>(t % hyper)].supersteps) {
      for (const auto& list : superstep.lanes) {
        for (const auto& r : list) due[static_cast<size_t>(r.op)] += r.lo == 0;
      }
    }
    for (const auto& [op, tiles] : times) {
      for (const auto& n : tiles) CHECK_EQ(n.load(), due[static_cast<size_t>(op)]);
    }
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
