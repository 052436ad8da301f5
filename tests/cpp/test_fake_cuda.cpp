// SPDX-License-Identifier: Apache-2.0
// The machine for tests: what it runs, in which orders, and that it refuses each fault planted
// here.
#include "check.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "shim/fake_cuda.hpp"

using namespace pvnet::cuda;
using fake::FakeCuda;

namespace {

// Kernels of these tests: launch number `first_tile` appends its number to a list.
struct Recorder : fake::Kernels {
  struct Run final : fake::Running {
    Run(Recorder& r, int n) : recorder(r), number(n) {}
    void start() override { recorder.started.push_back(number); }
    void finish() override {
      recorder.ran.push_back(number);
      recorder.kernel(number);
    }
    Recorder& recorder;
    int number;
  };
  std::unique_ptr<fake::Running> make(const KernelLaunch& l) override {
    return std::make_unique<Run>(*this, l.call.first_tile);
  }
  std::vector<int> started, ran;
  std::function<void(int)> kernel = [](int) {};
};

struct Bench : Recorder {
  FakeCuda cuda{*this};

  CudaStream stream() {
    CudaStream s = nullptr;
    CHECK_EQ(cuda.create_stream(&s), kSuccess);
    return s;
  }
  Event event(bool timed = false) {
    Event e = nullptr;
    CHECK_EQ(cuda.create_event(&e, timed), kSuccess);
    return e;
  }
  int* device(int count) {
    void* m = nullptr;
    CHECK_EQ(cuda.allocate(&m, static_cast<size_t>(count) * sizeof(int)), kSuccess);
    return static_cast<int*>(m);
  }
  int* pinned(int count) {
    void* m = nullptr;
    CHECK_EQ(cuda.allocate_pinned(&m, static_cast<size_t>(count) * sizeof(int)), kSuccess);
    return static_cast<int*>(m);
  }
  ErrorCode launch(int number, CudaStream s) {
    KernelLaunch l;
    l.call.first_tile = number;
    return cuda.launch(l, s);
  }
  bool refuses(const char* part) {
    const std::vector<std::string> all = cuda.refused();
    return all.size() == 1 && all[0].find(part) != std::string::npos;
  }
};

KernelLaunch numbered(int number) {
  KernelLaunch l;
  l.call.first_tile = number;
  return l;
}

}  // namespace

TEST(work_of_a_cuda_stream_runs_in_order_and_only_when_asked_for) {
  Bench b;
  const CudaStream s = b.stream();
  for (int i = 0; i < 5; ++i) CHECK_EQ(b.launch(i, s), kSuccess);
  CHECK(b.ran.empty());
  CHECK_EQ(b.cuda.synchronise(s), kSuccess);
  CHECK(b.ran == (std::vector<int>{0, 1, 2, 3, 4}));
  CHECK(b.cuda.refused().empty());
}

TEST(seeds_give_all_orders_that_events_allow) {
  // 0 and 1 on two cuda_streams; 2 waits for both.
  int first_was_zero = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Bench b;
    b.cuda.seed(seed);
    const CudaStream s = b.stream(), t = b.stream();
    const Event e = b.event();
    CHECK_EQ(b.launch(0, s) + b.launch(1, t), kSuccess);
    CHECK_EQ(b.cuda.record(e, t) + b.cuda.wait(s, e) + b.launch(2, s), kSuccess);
    CHECK_EQ(b.cuda.synchronise(s), kSuccess);
    CHECK_EQ(b.ran.back(), 2);
    first_was_zero += b.ran.front() == 0;
  }
  CHECK(first_was_zero > 5 && first_was_zero < 45);
}

TEST(a_missing_event_is_found_within_50_seeds) {
  // The reader runs on another cuda_stream than the writer, without an event between them.
  int wrong = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Bench b;
    b.cuda.seed(seed);
    int written = 0, read = 0;
    b.kernel = [&](int n) { n == 0 ? void(written = 1) : void(read = written); };
    const CudaStream s = b.stream(), t = b.stream();
    CHECK_EQ(b.launch(0, s) + b.launch(1, t), kSuccess);
    CHECK_EQ(b.cuda.synchronise(s) + b.cuda.synchronise(t), kSuccess);
    wrong += read != 1;
  }
  CHECK(wrong > 0);
}

TEST(nodes_of_a_graph_run_in_any_order_that_their_edges_allow) {
  std::vector<std::vector<int>> orders;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Bench b;
    b.cuda.seed(seed);
    Graph g = nullptr;
    GraphExec x = nullptr;
    GraphNode n[4];
    CHECK_EQ(b.cuda.create_graph(&g), kSuccess);
    CHECK_EQ(b.cuda.add_kernel(g, numbered(0), nullptr, 0, &n[0]), kSuccess);
    CHECK_EQ(b.cuda.add_kernel(g, numbered(1), n, 1, &n[1]), kSuccess);
    CHECK_EQ(b.cuda.add_kernel(g, numbered(2), n, 1, &n[2]), kSuccess);
    CHECK_EQ(b.cuda.add_kernel(g, numbered(3), n + 1, 2, &n[3]), kSuccess);
    CHECK_EQ(b.cuda.instantiate(g, &x), kSuccess);
    const CudaStream s = b.stream();
    CHECK_EQ(b.cuda.launch(x, s) + b.launch(9, s) + b.cuda.synchronise(s), kSuccess);
    CHECK_EQ(b.ran.size(), size_t{5});
    CHECK(b.ran[0] == 0 && b.ran[3] == 3 && b.ran[4] == 9);
    orders.push_back(b.ran);
    CHECK_EQ(b.cuda.destroy_exec(x) + b.cuda.destroy_graph(g) + b.cuda.destroy_stream(s), kSuccess);
    CHECK(b.cuda.leaks().empty());
  }
  CHECK(std::find(orders.begin(), orders.end(), std::vector<int>{0, 1, 2, 3, 9}) != orders.end());
  CHECK(std::find(orders.begin(), orders.end(), std::vector<int>{0, 2, 1, 3, 9}) != orders.end());
}

TEST(a_launch_that_waits_itself_may_start_early) {
  int early = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Bench b;
    b.cuda.seed(seed);
    const CudaStream s = b.stream();
    KernelLaunch second = numbered(1);
    second.early = true;
    CHECK_EQ(b.launch(0, s) + b.cuda.launch(second, s) + b.cuda.synchronise(s), kSuccess);
    CHECK(b.ran == (std::vector<int>{0, 1}));
    early += !b.started.empty();
  }
  CHECK(early > 0 && early < 20);
}

TEST(copies_reach_host_memory_when_the_host_has_waited) {
  Bench b;
  const CudaStream s = b.stream(), t = b.stream();
  int* device = b.device(4);
  int* host = b.pinned(4);
  std::iota(host, host + 4, 10);
  CHECK_EQ(b.cuda.copy(device, host, 16, s) + b.cuda.synchronise(s), kSuccess);
  host[0] = 1;
  const Event e = b.event();
  CHECK_EQ(b.cuda.copy(host, device, 16, s) + b.cuda.record(e, s), kSuccess);
  CHECK(host[0] != 1 && host[0] != 10);
  // Though it has run, the host does not know.
  CHECK_EQ(b.cuda.wait(t, e) + b.launch(0, t), kSuccess);
  while (b.ran.empty()) (void)b.cuda.query(e);
  CHECK_EQ(b.cuda.synchronise(e), kSuccess);
  CHECK(host[0] == 10 && host[3] == 13);
  CHECK(b.cuda.refused().empty());
}

TEST(pageable_memory_is_copied_at_once) {
  Bench b;
  const CudaStream s = b.stream();
  int* device = b.device(2);
  std::vector<int> from = {5, 6}, to(2);
  CHECK_EQ(b.cuda.copy(device, from.data(), 8, s), kSuccess);
  from = {0, 0};
  CHECK_EQ(b.cuda.copy(to.data(), device, 8, s), kSuccess);
  CHECK(to == (std::vector<int>{5, 6}));
}

TEST(host_memory_written_before_its_copy_is_refused) {
  Bench b;
  const CudaStream s = b.stream();
  int* device = b.device(1);
  int* host = b.pinned(1);
  *host = 1;
  CHECK_EQ(b.cuda.copy(device, host, 4, s), kSuccess);
  *host = 2;
  CHECK_EQ(b.cuda.synchronise(s), kSuccess);
  CHECK(!b.cuda.refused().empty());
}

TEST(host_memory_written_after_its_copy_but_without_waiting_is_refused) {
  Bench b;
  const CudaStream s = b.stream(), t = b.stream();
  int* device = b.device(1);
  int* host = b.pinned(1);
  *host = 1;
  const Event e = b.event();
  CHECK_EQ(b.cuda.copy(device, host, 4, s) + b.cuda.record(e, s) + b.launch(0, t), kSuccess);
  void* other = b.device(1);
  CHECK_EQ(b.cuda.release(other), kSuccess);  // runs everything, and tells the host nothing
  *host = 2;
  CHECK_EQ(b.cuda.synchronise(e), kSuccess);
  CHECK(b.refuses("before the host knew"));
}

TEST(pinned_memory_under_way_is_not_given_back) {
  Bench b;
  const CudaStream s = b.stream();
  int* host = b.pinned(1);
  *host = 0;
  CHECK_EQ(b.cuda.copy(b.device(1), host, 4, s), kSuccess);
  CHECK_EQ(b.cuda.release_pinned(host), kSuccess);
  CHECK(b.refuses("given back while a copy was under way"));
}

TEST(what_a_tick_may_not_do_is_refused) {
  Bench b;
  const CudaStream s = b.stream(), t = b.stream();
  const Event e = b.event();
  int* device = b.device(8);
  void* memory = nullptr;
  Event other = nullptr;
  int pageable = 0;
  const auto planted = [&](const char* part, const std::function<ErrorCode()>& fault) {
    b.cuda.enter_tick(s);
    CHECK_EQ(fault(), fake::kRefused);
    b.cuda.leave_tick();
    CHECK(b.refuses(part));
  };
  planted("allocates inside", [&] { return b.cuda.allocate(&memory, 8); });
  planted("allocates inside", [&] { return b.cuda.allocate_pinned(&memory, 8); });
  planted("allocates inside", [&] { return b.cuda.release(device); });
  planted("allocates inside", [&] { return b.cuda.create_event(&other, false); });
  planted("waits inside", [&] { return b.cuda.synchronise(s); });
  planted("waits inside", [&] { return b.cuda.synchronise(e); });
  planted("pageable memory waits", [&] { return b.cuda.copy(device, &pageable, 4, s); });
  planted("the default one", [&] { return b.launch(0, nullptr); });
  planted("beyond its memory", [&] { return b.cuda.copy(device, device + 4, 20, s); });
  planted("beyond the device's memory", [&] { return b.cuda.fill(device, 0, 33, s); });

  b.cuda.enter_tick(s);
  CHECK_EQ(b.launch(0, s) + b.cuda.record(e, s) + b.cuda.wait(t, e) + b.launch(1, t), kSuccess);
  b.cuda.leave_tick();
  CHECK(b.refuses("not joined"));

  b.cuda.enter_tick(s);
  CHECK_EQ(b.launch(0, s) + b.cuda.record(e, s) + b.cuda.wait(t, e) + b.launch(1, t), kSuccess);
  CHECK_EQ(b.cuda.record(e, t) + b.cuda.wait(s, e), kSuccess);
  b.cuda.leave_tick();
  CHECK(b.cuda.refused().empty());
}

TEST(a_capture_runs_as_often_as_it_is_launched) {
  Bench b;
  const CudaStream s = b.stream(), t = b.stream();
  const Event fork = b.event(), join = b.event();
  CHECK_EQ(b.cuda.begin_capture(s), kSuccess);
  CHECK_EQ(b.launch(0, s) + b.cuda.record(fork, s) + b.cuda.wait(t, fork) + b.launch(1, t),
           kSuccess);
  bool capturing = false;
  CHECK_EQ(b.cuda.is_capturing(t, &capturing), kSuccess);
  CHECK(capturing);
  CHECK_EQ(b.cuda.synchronise(s), fake::kCaptureUnsupported);
  CHECK_EQ(b.cuda.record(join, t) + b.cuda.wait(s, join) + b.launch(2, s), kSuccess);
  Graph g = nullptr;
  GraphExec x = nullptr;
  CHECK_EQ(b.cuda.end_capture(s, &g) + b.cuda.instantiate(g, &x), kSuccess);
  CHECK(b.ran.empty());
  CHECK_EQ(b.cuda.launch(x, s) + b.cuda.launch(x, s) + b.cuda.synchronise(s), kSuccess);
  CHECK(b.ran == (std::vector<int>{0, 1, 2, 0, 1, 2}));
}

TEST(a_capture_refuses_open_forks_and_work_from_before) {
  Bench b;
  const CudaStream s = b.stream(), t = b.stream();
  const Event e = b.event();
  Graph g = nullptr;
  CHECK_EQ(b.cuda.begin_capture(s), kSuccess);
  CHECK_EQ(b.launch(0, s) + b.cuda.record(e, s) + b.cuda.wait(t, e) + b.launch(1, t), kSuccess);
  CHECK_EQ(b.cuda.end_capture(s, &g), fake::kCaptureUnjoined);
  CHECK_EQ(b.launch(0, t) + b.cuda.record(e, t) + b.cuda.begin_capture(s), kSuccess);
  CHECK_EQ(b.cuda.wait(s, e), fake::kCaptureIsolation);
}

TEST(calls_fail_when_told_to) {
  Bench b;
  const CudaStream s = b.stream();
  b.cuda.fail(1, kOutOfMemory);
  CHECK_EQ(b.launch(0, s), kSuccess);
  CHECK_EQ(b.launch(1, s), kOutOfMemory);
  CHECK_EQ(b.launch(2, s), kSuccess);
  CHECK_EQ(b.cuda.calls(), 3);
  b.cuda.fail(0, 719, true);
  CHECK_EQ(b.launch(3, s), 719);
  CHECK_EQ(b.cuda.synchronise(s), 719);
  b.cuda.fail_never();
  CHECK_EQ(b.cuda.synchronise(s), kSuccess);
  CHECK(b.ran == (std::vector<int>{0, 2}));
}

TEST(what_is_not_given_back_is_told) {
  Bench b;
  const CudaStream s = b.stream();
  int* device = b.device(1);
  CHECK_EQ(b.cuda.leaks().size(), size_t{2});
  CHECK_EQ(b.cuda.release(device) + b.cuda.destroy_stream(s), kSuccess);
  CHECK(b.cuda.leaks().empty());
  CHECK_EQ(b.cuda.release(device), fake::kRefused);
  CHECK(b.refuses("not allocated"));
}

TEST(the_clock_measures_what_runs_side_by_side) {
  Bench b;
  const auto measured = [&](bool forked) {
    const CudaStream s = b.stream(), t = b.stream();
    const Event begin = b.event(true), end = b.event(true), fork = b.event(), join = b.event();
    KernelLaunch l;
    l.blocks = 1000;
    CHECK_EQ(b.cuda.record(begin, s) + b.cuda.record(fork, s) + b.cuda.wait(t, fork), kSuccess);
    CHECK_EQ(b.cuda.launch(l, s) + b.cuda.launch(l, forked ? t : s), kSuccess);
    CHECK_EQ(b.cuda.record(join, t) + b.cuda.wait(s, join) + b.cuda.record(end, s), kSuccess);
    float ms = 0;
    CHECK_EQ(b.cuda.synchronise(s) + b.cuda.elapsed_ms(begin, end, &ms), kSuccess);
    return ms;
  };
  CHECK(measured(true) < 0.7F * measured(false));
}
