// SPDX-License-Identifier: Apache-2.0
// Stream: what must be equal to what, without Python. The property-based version over random graphs
// is tests/runtime.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "runtime/stream.hpp"
#include "runtime/test_hooks.hpp"

#include "nets.hpp"

// Every allocation of this program is counted, so that a test can say that there was none. (The
// sanitizers bring an operator new of their own.)
static std::atomic<int64_t> allocations{0};
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void* operator new(size_t n) {
  ++allocations;
  if (void* p = std::malloc(n)) return p;
  std::abort();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace {

using pvnet::FrameView;
using pvnet::Graph;
using pvnet::Plan;
using pvnet::StreamCore;
using pvnet::Wiring;

std::shared_ptr<const Plan> plan_of(const Graph& g, int lanes, int batch = 1,
                                    const char* backend = "cpu") {
  pvnet::CompileOptions o;
  o.backend = backend;
  o.lanes = lanes;
  o.costs = nets::heavy(g);
  o.batch = batch;
  return nets::must(Plan::compile(g, nets::random_weights(g), o));
}

Graph wired(Wiring w, int k) { return nets::must(nets::mixed().wire(w, k)); }

// Frame t of video `seed`, [3][12][10].
std::vector<float> frame(int seed, int64_t t) {
  std::mt19937 rng(static_cast<uint32_t>(seed * 1000003 + t));
  std::uniform_real_distribution<float> u(-1.0f, 1.0f);
  std::vector<float> f(3 * 12 * 10);
  for (float& x : f) x = u(rng);
  return f;
}

FrameView view(const std::vector<float>& f) {
  FrameView v;
  v.data = f.data();
  v.strides[0] = 120, v.strides[1] = 10, v.strides[2] = 1;
  v.h = 12, v.w = 10, v.c = 3;
  return v;
}

using Out = std::vector<float>;

Out tick(StreamCore& s, int seed, int64_t t) {
  const auto f = frame(seed, t);
  const FrameView v = view(f);
  const pvnet::Status status = s.tick(&v);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  CHECK(status.ok());
  Out y(5 * 6 * 5);
  CHECK(s.read_output(0, 0, y.data()).ok());
  return y;
}

std::vector<Out> run(const std::shared_ptr<const Plan>& p, int ticks, int seed = 7) {
  const auto s = nets::must(StreamCore::create(p));
  std::vector<Out> out;
  for (int t = 0; t < ticks; ++t) out.push_back(tick(*s, seed, t));
  return out;
}

}  // namespace

TEST(any_number_of_lanes_gives_the_same_bits) {
  for (const Wiring w : {Wiring::sequential, Wiring::predictive}) {
    for (const int k : {1, 3}) {
      const auto one = run(plan_of(wired(w, k), 1), 20);
      for (const int lanes : {2, 3, 4}) CHECK(run(plan_of(wired(w, k), lanes), 20) == one);
    }
  }
}

TEST(a_tick_gives_the_same_bits_however_it_is_made) {
  for (const Wiring w : {Wiring::sequential, Wiring::predictive}) {
    const auto one = run(plan_of(wired(w, 3), 1), 20);
    const auto s = nets::must(StreamCore::create(plan_of(wired(w, 3), 3)));
    CHECK_EQ(s->lanes_used(), 0);
    using pvnet::TickWay;
    for (int t = 0; t < 20; ++t) {
      constexpr TickWay kWays[] = {TickWay::flexible, TickWay::alone, TickWay::shared,
                                   TickWay::flexible};
      pvnet::StreamHooks::make_ticks(*s, kWays[t % 4]);
      CHECK(tick(*s, 7, t) == one[t]);
      if (kWays[t % 4] == TickWay::alone) CHECK_EQ(s->lanes_used(), 1);
    }
  }
}

TEST(fixed_lanes_always_share) {
  pvnet::CompileOptions o;
  const Graph g = wired(Wiring::sequential, 1);
  o.backend = "cpu", o.lanes = 2, o.costs = nets::heavy(g), o.fixed_lanes = true;
  const auto s =
      nets::must(StreamCore::create(nets::must(Plan::compile(g, nets::random_weights(g), o))));
  for (int t = 0; t < 200; ++t) {
    tick(*s, 7, t);
    CHECK_EQ(s->lanes_used(), s->plan().schedule[t % s->plan().hyper_period].solo ? 1 : 2);
  }
}

TEST(pipelined_is_sequential_shifted) {
  // Without the feedback edge, whose loop is as long as one frame.
  const Graph g = nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":12,"width":10}})",
          R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":8,"kernel":[2,3,3],"stride":[1,2,2],"padding":[1,1],"act":"relu"}})",
          R"({"op":"conv3d","name":"b","inputs":["a"],"attrs":{"out":6,"kernel":[3,3,3],"stride":[2,1,1],"padding":[1,1]}})",
          R"({"op":"concat","name":"ab","inputs":["a","b"]})",
          R"({"op":"conv3d","name":"c","inputs":["ab"],"attrs":{"out":8,"act":"relu"}})",
          R"({"op":"conv3d","name":"d","inputs":["c"],"attrs":{"out":5}})",
      },
      "d");
  for (const char* backend : {"ref", "cpu"}) {
    const auto base = nets::must(g.wire(Wiring::sequential, 1));
    const auto want = run(plan_of(base, 1, 1, backend), 24);
    for (const int k : {2, 3, 4}) {
      const auto got = run(plan_of(nets::must(g.wire(Wiring::pipelined, k)), 2, 1, backend), 24);
      for (int t = k - 1; t < 24; ++t) CHECK(got[t] == want[t - (k - 1)]);
    }
  }
}

TEST(snapshot_restore_go_on_is_never_stopped) {
  const auto p = plan_of(wired(Wiring::predictive, 3), 2);
  const auto want = run(p, 20);
  const auto s = nets::must(StreamCore::create(p));
  for (int t = 0; t < 9; ++t) tick(*s, 7, t);
  std::vector<char> bytes(s->snapshot_bytes());
  CHECK(s->snapshot(bytes.data(), bytes.size()).ok());
  for (int t = 0; t < 5; ++t) tick(*s, 99, t);  // somewhere else
  CHECK(s->restore(bytes.data(), bytes.size()).ok());
  for (int t = 9; t < 20; ++t) CHECK(tick(*s, 7, t) == want[t]);

  // Damage is refused and changes nothing.
  const auto other = nets::must(StreamCore::create(p));
  for (int t = 0; t < 4; ++t) tick(*other, 7, t);
  for (const size_t at : {size_t{0}, size_t{9}, size_t{20}, size_t{24}, bytes.size() - 1}) {
    auto bad = bytes;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    CHECK(!other->restore(bad.data(), bad.size()).ok());
  }
  CHECK(!other->restore(bytes.data(), bytes.size() - 1).ok());
  CHECK(!other->restore(bytes.data(), 3).ok());
  CHECK(tick(*other, 7, 4) == want[4]);
}

TEST(rows_are_videos_of_their_own) {
  const auto p = plan_of(wired(Wiring::predictive, 3), 2, 3);
  const auto single = plan_of(wired(Wiring::predictive, 3), 1);
  const auto s = nets::must(StreamCore::create(p));
  // Row 1 freezes every third tick, row 2 is reset after tick 10.
  int64_t made[3] = {0, 0, 0};
  std::vector<std::vector<Out>> want;
  for (int r = 0; r < 3; ++r) want.push_back(run(single, 30, r));
  for (int t = 0; t < 24; ++t) {
    uint8_t rows[3] = {1, static_cast<uint8_t>(t % 3 != 0), 1};
    if (t == 10) {
      const uint8_t reset[3] = {0, 0, 1};
      CHECK(s->reset(reset).ok());
      made[2] = 0;
    }
    std::vector<std::vector<float>> frames;
    std::vector<FrameView> views;
    for (int r = 0; r < 3; ++r) frames.push_back(frame(r, made[r]));
    for (int r = 0; r < 3; ++r) views.push_back(rows[r] ? view(frames[r]) : FrameView{});
    CHECK(s->tick(views.data(), rows).ok());
    for (int r = 0; r < 3; ++r) {
      made[r] += rows[r];
      CHECK_EQ(s->ticks_done(r), made[r]);
      if (made[r] == 0) continue;
      Out y(5 * 6 * 5);
      CHECK(s->read_output(0, r, y.data()).ok());
      CHECK(y == want[r][made[r] - 1]);
    }
  }
}

TEST(garbage_in_unwritten_slots_never_reaches_an_output) {
  const auto p = plan_of(wired(Wiring::predictive, 4), 2);
  const auto want = run(p, 20);
  const auto s = nets::must(StreamCore::create(p));
  for (int t = 0; t < 20; ++t) {
    pvnet::StreamHooks::poison_unwritten(*s);
    CHECK(tick(*s, 7, t) == want[t]);
  }
}

TEST(bad_frames_are_refused_and_change_nothing) {
  const auto p = plan_of(wired(Wiring::predictive, 2), 1);
  const auto want = run(p, 6);
  const auto s = nets::must(StreamCore::create(p));
  for (int t = 0; t < 6; ++t) {
    auto bad = frame(7, t);
    bad[17] = t % 2 ? NAN : INFINITY;
    FrameView v = view(bad);
    CHECK(!s->tick(&v).ok());
    const auto good = frame(7, t);
    v = view(good);
    v.h = 11;
    CHECK(!s->tick(&v).ok());
    v = view(good);
    v.data = nullptr;
    CHECK(!s->tick(&v).ok());
    CHECK(tick(*s, 7, t) == want[t]);
  }
}

TEST(a_second_thread_is_refused_not_raced) {
  const auto p = plan_of(wired(Wiring::predictive, 2), 2);
  const auto s = nets::must(StreamCore::create(p));
  std::atomic<int> done{0}, refused{0};
  const auto work = [&] {
    const auto f = frame(1, 0);
    const FrameView v = view(f);
    for (int i = 0; i < 500; ++i) {
      const auto status = s->tick(&v);
      if (status.ok()) {
        ++done;
      } else {
        CHECK(status.code() == pvnet::Code::state);
        ++refused;
      }
    }
  };
  std::thread a(work), b(work);
  a.join();
  b.join();
  CHECK_EQ(done + refused, 1000);
  CHECK_EQ(s->ticks_done(0), done.load());
}

TEST(many_streams_share_a_plan) {
  const auto p = plan_of(wired(Wiring::predictive, 3), 2);
  const auto want = run(p, 30);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] { CHECK(run(p, 30) == want); });
  }
  for (auto& t : threads) t.join();
}

TEST(trace_holds_what_was_due_and_nothing_else) {
  const auto p = plan_of(wired(Wiring::predictive, 2), 2);
  const auto s = nets::must(StreamCore::create(p));
  for (int t = 0; t < 10; ++t) tick(*s, 7, t);
  CHECK(s->trace_start(10000).ok());
  for (int t = 10; t < 18; ++t) tick(*s, 7, t);
  const auto events = s->trace_stop();
  std::vector<std::vector<int>> tiles(18, std::vector<int>(p->ops.size(), 0));
  for (const auto& e : events) {
    CHECK(e.end_ns >= e.begin_ns);
    tiles[e.tick][e.op] += e.hi - e.lo;
  }
  for (int t = 10; t < 18; ++t) {
    for (size_t i = 0; i < p->ops.size(); ++i) {
      const auto& c = p->ops[i].clock;
      const bool due = (t - c.origin) % c.period == 0;
      CHECK_EQ(tiles[t][i], due ? p->ops[i].tiles : 0);
    }
  }
}

TEST(a_hundred_thousand_ticks_do_not_drift_or_allocate) {
  // A network with feedback that contracts: fed the same frame, it must settle and stay.
  const Graph g = nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":12,"width":10}})",
          R"({"op":"feedback","name":"fb","inputs":["y"],"attrs":{"channels":2,"height":12,"width":10}})",
          R"({"op":"concat","name":"xf","inputs":["x","fb"]})",
          R"({"op":"conv3d","name":"a","inputs":["xf"],"attrs":{"out":4,"kernel":[3,1,1],"act":"sigmoid"}})",
          R"({"op":"conv3d","name":"y","inputs":["a"],"attrs":{"out":2,"kernel":[2,1,1],"stride":[2,1,1],"act":"sigmoid"}})",
      },
      "y");
  const auto p = plan_of(nets::must(g.wire(Wiring::predictive, 2)), 2);
  const auto s = nets::must(StreamCore::create(p));
  const auto f = frame(3, 0);
  const FrameView v = view(f);
  Out early(2 * 120), late(2 * 120);
  CHECK(s->tick(&v).ok());
  const int64_t before = allocations;
  int failed = 0;
  for (int t = 1; t < 100000; ++t) {
    failed += !s->tick(&v).ok();
    if (t == 999) failed += !s->read_output(0, 0, early.data()).ok();
  }
  failed += !s->read_output(0, 0, late.data()).ok();
  CHECK_EQ(allocations - before, 0);
  CHECK_EQ(failed, 0);
  CHECK(early == late);
  CHECK_EQ(s->ticks_done(0), 100000);
}
