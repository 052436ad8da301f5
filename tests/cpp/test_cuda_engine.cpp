// SPDX-License-Identifier: Apache-2.0
// The engine of device kernels on the machine for tests: every executor gives the bits of `ref` in
// every order that its events allow, and does nothing inside a tick that a tick may not do.
#include "check.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "cuda_streams.hpp"

#include "graph/firing.hpp"
#include "runtime/cuda/engine.hpp"
#include "runtime/test_hooks.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

constexpr int kSeeds = 50;

}  // namespace

TEST(every_executor_gives_the_bits_of_ref_for_50_seeds) {
  for (const Net net : {kPredictive, kSlow, kSequential}) {
    const Results want_1 = run(ref_plan(net), 1), want_3 = run(ref_plan(net), 3);
    for (const char* executor : kExecutors) {
      const auto plan = device_plan(executor, net);
      for (int seed = net; seed < kSeeds; seed += kNets * check::every()) {
        machine().seed(static_cast<uint64_t>(seed));
        const bool often = seed / kNets % 2 == 0;
        const bool equal = same_results(run(plan, often ? 1 : 3), often ? want_1 : want_3);
        if (!equal) std::fprintf(stderr, "%s, net %d, seed %d\n", executor, net, seed);
        CHECK(equal);
        CHECK(nothing_refused());
      }
    }
  }
  CHECK(machine().leaks().empty());
}

// Every event of a tick, left out one by one.
TEST(a_missing_event_is_found_within_50_seeds) {
  const Results want = run(ref_plan(kSequential), 4);
  for (const char* executor : {"streams", "wave"}) {
    const auto plan = device_plan(executor, kSequential);
    for (int part = 0; part < 2; ++part) (void)machine().most_waits(part);
    CHECK(same_results(run(plan, 4), want));
    for (int part = 0; part < 2; ++part) {
      const int waits = machine().most_waits(part);
      CHECK(waits > 0);
      for (int wait = 0; wait < waits; ++wait) {
        bool found = false;
        machine().leave_out(part, wait);
        for (int seed = 0; seed < kSeeds && !found; ++seed) {
          machine().seed(static_cast<uint64_t>(seed));
          found = !same_results(run(plan, 4), want);
          found = !machine().refused().empty() || found;
        }
        if (!found) std::fprintf(stderr, "%s: wait %d of part %d\n", executor, wait, part);
        CHECK(found);
      }
    }
    machine().leave_out(-1, -1);
  }
}

TEST(snapshots_hold_what_is_alive_and_nothing_else) {
  const auto want = run(ref_plan(kSlow), 1);
  const auto plan = device_plan("packed", kSlow);
  auto stream = nets::must(StreamCore::create(plan));
  Video video(*plan);
  for (int64_t t = 0; t < 4; ++t) {
    StreamHooks::poison_unwritten(*stream);
    must(stream->tick(video.frames(t).data(), mask_of(t).data()));
    CHECK(same(outputs(*stream), want[static_cast<size_t>(t)]));
  }
  std::vector<char> snapshot(stream->snapshot_bytes());
  must(stream->snapshot(snapshot.data(), snapshot.size()));
  auto other = nets::must(StreamCore::create(plan));
  must(other->tick(video.frames(9).data()));
  must(other->restore(snapshot.data(), snapshot.size()));
  CHECK(same(outputs(*other), want[3]));  // at once, before another tick
  std::vector<char> again(snapshot.size());
  must(other->snapshot(again.data(), again.size()));
  CHECK(again == snapshot);
  for (int64_t t = 4; t < 6; ++t) {
    must(other->tick(video.frames(t).data(), mask_of(t).data()));
    CHECK(same(outputs(*other), want[static_cast<size_t>(t)]));
  }
  CHECK(nothing_refused());
}

TEST(a_trace_has_every_operation_where_it_is_due) {
  const auto plan = device_plan("wave", kSlow, 1);
  auto stream = nets::must(StreamCore::create(plan));
  Video video(*plan);
  must(stream->trace_start(10000));
  for (int64_t t = 0; t < kTicks; ++t) must(stream->tick(video.frames(t).data()));
  const std::vector<TraceEvent> events = stream->trace_stop();
  CHECK(stream->trace_stop().size() == events.size());
  stream->trace_clear();
  CHECK(stream->trace_stop().empty());
  for (size_t op = 0; op < plan->ops.size(); ++op) {
    for (int64_t t = 0; t < kTicks; ++t) {
      const bool ran = std::any_of(events.begin(), events.end(), [&](const TraceEvent& e) {
        return e.op == static_cast<int>(op) && e.tick == t && e.end_ns >= e.begin_ns;
      });
      CHECK_EQ(ran, is_due(plan->ops[op].clock, t));
    }
  }
  must(stream->tick(video.frames(kTicks).data()));
  CHECK(nothing_refused());
}

TEST(the_quickest_executor_is_kept_for_the_plan) {
  machine().facts.clock = true;
  const auto want = run(ref_plan(kSequential), 1);
  const auto plan = device_plan("auto", kSequential);
  machine().seed(1);
  auto first = nets::must(cuda::CudaEngine::create(plan));
  const auto& engine = static_cast<const cuda::CudaEngine&>(*first);
  // By this machine's clock one launch of a graph costs less than launches one by one.
  CHECK(engine.executor() != ExecutorKind::serial && engine.executor() != ExecutorKind::streams);
  const size_t started = machine().started();
  auto second = nets::must(cuda::CudaEngine::create(plan));
  CHECK_EQ(machine().started(), started);
  CHECK(static_cast<const cuda::CudaEngine&>(*second).executor() == engine.executor());
  CHECK(same_results(run(plan, 1), want));
  machine().facts.clock = false;
  CHECK(nothing_refused());
}

TEST(streams_of_a_plan_share_its_tables) {
  const auto plan = device_plan("serial", kPredictive);
  auto first = nets::must(StreamCore::create(plan));
  const size_t one = machine().leaks().size();
  auto second = nets::must(StreamCore::create(plan));
  // Memory of the device and pinned memory, three cuda_streams, ten events.
  CHECK_EQ(machine().leaks().size() - one, size_t{15});
}

namespace {

// Frames in the device's memory, as a caller has them who decodes there.
class DeviceVideo {
 public:
  explicit DeviceVideo(const Plan& plan) : host_(plan), plan_(plan) {
    const Shape& s = plan.values[static_cast<size_t>(plan.input_values[0])].shape;
    size_ = static_cast<size_t>(s.c) * s.h * s.w;
    CHECK_EQ(machine().allocate(&memory_, size_ * sizeof(float)), cuda::kSuccess);
    CHECK_EQ(machine().create_stream(&stream), cuda::kSuccess);
    frame = {memory_, {int64_t{s.h} * s.w, s.w, 1}, 0, 1};
  }
  ~DeviceVideo() {
    (void)machine().synchronise(stream);
    (void)machine().release(memory_);
    (void)machine().destroy_stream(stream);
  }
  // The frame of tick t, for what is enqueued on `stream` from now on.
  void show(int64_t t) {
    const std::vector<FrameView> frames = host_.frames(t);
    CHECK_EQ(machine().copy(memory_, frames[0].data, size_ * sizeof(float), stream),
             cuda::kSuccess);
  }
  std::vector<float> results(const cuda::CudaEngine& engine) {
    std::vector<float> all(size_);
    CHECK_EQ(machine().copy(all.data(), engine.device_results(), size_ * sizeof(float), stream),
             cuda::kSuccess);
    return all;
  }

  cuda::CudaStream stream = nullptr;
  pv_frame frame = {};

 private:
  Video host_;
  const Plan& plan_;
  size_t size_ = 0;
  void* memory_ = nullptr;
};

}  // namespace

TEST(ticks_run_on_the_cuda_stream_of_the_caller) {
  const Results want = run(ref_plan(kSlow, 1), 1);
  const auto plan = device_plan("streams", kSlow, 1);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    machine().seed(seed);
    auto owner = nets::must(cuda::CudaEngine::create(plan));
    auto& engine = static_cast<cuda::CudaEngine&>(*owner);
    DeviceVideo video(*plan);
    Video host(*plan);
    for (int64_t t = 0; t < kTicks; ++t) {
      const Rows rows{&t, nullptr};
      if (t % 3 == 2) {  // the engine's own cuda_stream in between
        must(engine.begin(host.frames(t).data(), rows));
        must(engine.tick(rows, nullptr));
      } else {
        video.show(t);
        must(engine.enqueue(video.stream, &video.frame, rows));
      }
      std::vector<float> got(want[0].size());
      must(engine.read(0, 0, t + 1, got.data()));
      CHECK(same(got, want[static_cast<size_t>(t)]));
    }
  }
  CHECK(nothing_refused());
}

namespace {

device::Gather gather_of(const std::string& executor) {
  using device::Gather;
  if (executor == "group") return Gather::group;
  if (executor == "wave") return Gather::wave;
  return executor == "packed" ? Gather::packed : Gather::op;
}

}  // namespace

TEST(a_captured_tick_is_replayed_with_the_frame_of_the_moment) {
  const Results want = run(ref_plan(kSlow, 1), 1);
  for (const char* executor : kExecutors) {
    const auto plan = device_plan(executor, kSlow, 1);
    auto owner = nets::must(cuda::CudaEngine::create(plan));
    auto& engine = static_cast<cuda::CudaEngine&>(*owner);
    DeviceVideo video(*plan);
    const int64_t none = 0;
    cuda::Graph graph = nullptr;
    cuda::GraphExec exec = nullptr;
    CHECK_EQ(machine().begin_capture(video.stream), cuda::kSuccess);
    size_t kernels = 0;
    machine().on_launch = [&](const cuda::KernelLaunch&, cuda::CudaStream) { ++kernels; };
    must(engine.enqueue(video.stream, &video.frame, {&none, nullptr}));
    machine().on_launch = nullptr;
    // Launches as the executor gathers them, between begin and end.
    const auto list = device::gather(*plan, *plan->device, gather_of(executor), -1);
    CHECK_EQ(kernels, list.launches.size() + 2);
    CHECK_EQ(machine().end_capture(video.stream, &graph), cuda::kSuccess);
    CHECK_EQ(machine().instantiate(graph, &exec), cuda::kSuccess);
    for (int64_t t = 0; t < kTicks; ++t) {
      video.show(t);
      CHECK_EQ(machine().launch(exec, video.stream), cuda::kSuccess);
      CHECK(same(video.results(engine), want[static_cast<size_t>(t)]));
    }
    const Status status = engine.enqueue(video.stream, &video.frame, {&none, nullptr});
    CHECK(status.message().find("belong to a captured graph") != std::string::npos);
    CHECK_EQ(machine().destroy_exec(exec) + machine().destroy_graph(graph), cuda::kSuccess);
    CHECK(nothing_refused());
  }
  CHECK(machine().leaks().empty());
}
