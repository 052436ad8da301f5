// SPDX-License-Identifier: Apache-2.0
// Lanes: every start of a thread may be refused, and nothing is left over.
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <numeric>
#include <thread>

#include "runtime/stream.hpp"

#include "nets.hpp"
#include "runtime/cpu/lanes.hpp"

namespace {

int refuse_at = -1;  // the start of this number fails, counted from 0; -1: none
int starts = 0;
std::atomic<int> running{0};

struct Body {
  void* (*run)(void*);
  void* argument;
};

void* counted(void* given) {
  const Body body = *static_cast<Body*>(given);
  delete static_cast<Body*>(given);
  void* result = body.run(body.argument);
  running.fetch_sub(1);
  return result;
}

}  // namespace

// In front of the C library's: the library under test calls this one.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (starts++ == refuse_at) return EAGAIN;
  running.fetch_add(1);
  return real(thread, attributes, counted, new Body{run, argument});
}

namespace {

constexpr int kLanes = 4;

std::shared_ptr<const pvnet::Plan> plan() {
  const pvnet::Graph g = nets::must(nets::mixed().wire(pvnet::Wiring::predictive, 3));
  pvnet::CompileOptions o;
  o.backend = "cpu";
  o.lanes = kLanes;
  o.costs = nets::heavy(g);
  return nets::must(pvnet::Plan::compile(g, nets::random_weights(g), o));
}

pvnet::Status tick(pvnet::StreamCore& stream) {
  static const std::vector<float> pixels(3 * 12 * 10, 0.5f);
  pvnet::FrameView f;
  f.data = pixels.data();
  f.strides[0] = 120, f.strides[1] = 10, f.strides[2] = 1;
  f.h = 12, f.w = 10, f.c = 3;
  return stream.tick(&f);
}

TEST(lanes_run_on_every_lane_once) {
  auto lanes = nets::must(pvnet::Lanes::start(kLanes, true, {}));
  std::vector<int> seen(kLanes, 0);
  lanes->run([](void* c, int lane) { ++(*static_cast<std::vector<int>*>(c))[lane]; }, &seen);
  CHECK_EQ(std::accumulate(seen.begin(), seen.end(), 0), kLanes);
}

// However often lanes are woken, asleep or not, they work only where they are run.
TEST(woken_lanes_wait_for_work) {
  auto lanes = nets::must(pvnet::Lanes::start(kLanes, true, {}));
  std::vector<int> seen(kLanes, 0);
  const auto work = [](void* c, int lane) { ++(*static_cast<std::vector<int>*>(c))[lane]; };
  constexpr int kRuns = 60;
  for (int i = 0; i < kRuns; ++i) {
    if (i % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // they sleep
    for (int woken = 0; woken < i % 3; ++woken) lanes->wake();
    CHECK_EQ(std::accumulate(seen.begin(), seen.end(), 0), i * kLanes);
    lanes->run(work, &seen);
  }
  CHECK(seen == std::vector<int>(kLanes, kRuns));
}

// A caller that finds itself on the CPU of a worker leaves it, and may run there later as before.
TEST(a_caller_gives_way_to_a_worker) {
  const std::vector<int> cpus = pvnet::allowed_cpus();
  if (cpus.size() < 2) return;
  auto lanes = nets::must(pvnet::Lanes::start(2, true, {}));
  int seen[2] = {-1, -1};
  const auto look = [](void* c, int lane) { static_cast<int*>(c)[lane] = sched_getcpu(); };
  lanes->run(look, seen);
  cpu_set_t before, worker, after;
  CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&worker);
  CPU_SET(static_cast<size_t>(seen[1]), &worker);
  int apart = 0;
  for (int i = 0; i < 20; ++i) {
    CHECK_EQ(sched_setaffinity(0, sizeof(worker), &worker), 0);  // there now, and still there
    CHECK_EQ(sched_setaffinity(0, sizeof(before), &before), 0);  // when it may leave
    lanes->run(look, seen);
    apart += seen[0] != seen[1];
    CHECK_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
  }
  CHECK(apart >= 10);  // on a busy machine the system may move it back
  // Where it may run nowhere else it stays.
  CHECK_EQ(sched_setaffinity(0, sizeof(worker), &worker), 0);
  lanes->run(look, seen);
  CHECK_EQ(seen[0], seen[1]);
  CHECK_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST(a_refused_start_of_any_thread_is_a_status_and_leaves_nothing) {
  const auto p = plan();
  const int before = running.load();
  for (int n = 0; n < kLanes - 1; ++n) {
    starts = 0, refuse_at = n;
    auto stream = pvnet::StreamCore::create(p);
    CHECK(!stream.ok());
    CHECK(stream.status().code() == pvnet::Code::unsupported);
    CHECK_EQ(running.load(), before);
    refuse_at = -1;
    auto again = pvnet::StreamCore::create(p);
    CHECK(again.ok());
    if (again.ok()) CHECK(tick(*again.value()).ok());
  }
  CHECK_EQ(running.load(), before);
}

}  // namespace
