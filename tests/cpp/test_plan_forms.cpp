// SPDX-License-Identifier: Apache-2.0
// A node whose map is there in two forms: the bits are those of a plan that has each map once.
#include <algorithm>
#include <string>
#include <vector>

#include "runtime/stream.hpp"
#include "runtime/test_hooks.hpp"

#include "plan_runner.hpp"
#include "plan_samples.hpp"
#include "random_nets.hpp"
#include "twin_plans.hpp"

namespace {

using namespace twins;
using pvnet::StreamCore;
using pvnet::Value;

std::vector<float> bits(const Plan& plan, runner::Order order = runner::Order::forward) {
  return runner::Runner(plan, order).run(runner::ticks_of(plan)).outputs;
}

int64_t twins_of(const Plan& p) {
  return std::count_if(p.values.begin(), p.values.end(),
                       [](const Value& v) { return v.domain == Domain::twin; });
}

pvnet::FrameView view(const std::vector<float>& f) {
  pvnet::FrameView v;
  v.data = f.data();
  v.strides[0] = 120, v.strides[1] = 10, v.strides[2] = 1;
  v.h = 12, v.w = 10, v.c = 3;
  return v;
}

std::vector<float> tick(StreamCore& s, int t) {
  std::mt19937 rng(static_cast<uint32_t>(t));
  std::vector<float> f(3 * 12 * 10), y(5 * 6 * 5);
  for (float& x : f) x = static_cast<float>(rng() % 2001) / 1000.0f - 1.0f;
  const pvnet::FrameView v = view(f);
  CHECK(s.tick(&v).ok());
  pvnet::StreamHooks::poison_unwritten(s);
  CHECK(s.read_output(0, 0, y.data()).ok());
  return y;
}

}  // namespace

TEST(readers_of_a_twin_get_the_same_bits) {
  for (const FormRead form_read : kAsks) {
    ask(form_read);
    for (const Wiring w : {Wiring::sequential, Wiring::pipelined, Wiring::predictive}) {
      for (const Graph& net : {nets::mixed(), samples::twins()}) {
        // The loop of mixed() is as long as one frame.
        if (w == Wiring::pipelined && net.find("fb") >= 0) continue;
        const Graph g = nets::must(net.wire(w, 3));
        const auto want = bits(*plan_of(g, "ref"));
        for (const int lanes : {1, 2, 3}) {
          const auto p = plan_of(g, "test", lanes, lanes < 3);
          CHECK(twins_of(*p) > 0);
          for (const auto order :
               {runner::Order::forward, runner::Order::backward, runner::Order::turns}) {
            CHECK(runner::same_bits(bits(*p, order), want));
          }
        }
      }
    }
  }
}

TEST(random_networks_with_twins_give_the_same_bits) {
  int64_t twins = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    ask(kAsks[seed % 3]);
    const Graph g = nets::RandomNet(seed).make_wired(4 + static_cast<int>(seed % 9));
    const auto p = plan_of(g, "test", 1 + static_cast<int>(seed % 4));
    const auto ref = plan_of(g, "ref");
    twins += twins_of(*p);
    const int ticks = std::max(runner::ticks_of(*p), runner::ticks_of(*ref));
    CHECK(runner::same_bits(runner::Runner(*p, runner::Order::turns).run(ticks).outputs,
                            runner::Runner(*ref, runner::Order::forward).run(ticks).outputs));
  }
  CHECK(twins > 100);
}

TEST(a_snapshot_holds_the_twins) {
  for (const auto& p : plans()) {
    CHECK(std::any_of(p->values.begin(), p->values.end(), [](const Value& v) {
      return v.domain == Domain::twin && v.persistent && v.depth > 1;
    }));
    const auto ref = nets::must(StreamCore::create(plan_of(p->graph, "ref")));
    const auto a = nets::must(StreamCore::create(p)), b = nets::must(StreamCore::create(p));
    CHECK_EQ(p->stream_bytes() > ref->plan().stream_bytes(), true);
    for (int t = 0; t < 24; ++t) {
      const auto want = tick(*ref, t);
      CHECK(tick(*a, t) == want);
      std::vector<char> saved(a->snapshot_bytes());
      CHECK(a->snapshot(saved.data(), saved.size()).ok());
      CHECK(b->restore(saved.data(), saved.size()).ok());
      if (t % 5 == 4) CHECK(a->reset().ok());
      if (t % 5 == 4) CHECK(a->restore(saved.data(), saved.size()).ok());
    }
    // From the snapshot alone.
    for (int t = 24; t < 36; ++t) CHECK(tick(*b, t) == tick(*ref, t));
    std::vector<char> saved(ref->snapshot_bytes());
    CHECK(ref->snapshot(saved.data(), saved.size()).ok());
    CHECK(!a->restore(saved.data(), saved.size()).ok());
  }
}

TEST(only_those_who_ask_get_a_twin) {
  for (const auto& p : plans()) {
    Plan c;
    fields::copy(*p, c);
    for (size_t v = 0; v < c.values.size(); ++v) {
      for (size_t i = 0; i < c.ops.size(); ++i) {
        const bool conv = c.graph.nodes()[c.ops[i].node].op == Op::conv3d && !c.ops[i].converts;
        const Node& source = c.graph.nodes()[c.values[v].node];
        for (const auto& operand : c.ops[i].operands) {
          for (const auto& s : operand) {
            if (s.value != static_cast<int>(v)) continue;
            CHECK_EQ(c.values[v].form() == kTwin, conv && source.op == Op::conv3d);
          }
        }
      }
    }
    const std::string text = p->to_json();
    CHECK(text.find("\"domain\":\"twin\"") != std::string::npos);
    CHECK(text.find("\"op\":\"convert\"") != std::string::npos);
  }
}

TEST(the_entry_of_a_test_is_there_as_long_as_it_is_set) {
  ask(always);
  CHECK(pvnet::find_backend("test", "").ok());
  CHECK(!pvnet::find_backend("test", "avx2").ok());
  pvnet::set_test_backend(nullptr);
  CHECK(!pvnet::find_backend("test", "").ok());
}
