// SPDX-License-Identifier: Apache-2.0
// Callers who are on the device, too: their cuda_streams, the default ones included, their captured
// graphs, and what they are refused.
#include "check.hpp"

#include <cstring>
#include <string>
#include <vector>

#include "cuda_streams.hpp"

#include "backends/cuda/device.hpp"
#include "runtime/device_ticks.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

using Results = std::vector<std::vector<float>>;

cuda::CudaStream handle_of(StreamNumber number) {
  return reinterpret_cast<cuda::CudaStream>(number);
}

// A frame in the device's memory, written and read in the order of one cuda_stream.
class Caller {
 public:
  Caller(const std::shared_ptr<const Plan>& plan, StreamNumber stream)
      : stream(stream), video_(*plan), core_(nets::must(StreamCore::create(plan))) {
    const Shape& s = plan->values[static_cast<size_t>(plan->input_values[0])].shape;
    size_ = static_cast<size_t>(s.c) * s.h * s.w;
    CHECK_EQ(machine().allocate(&memory_, size_ * sizeof(float)), cuda::kSuccess);
  }
  ~Caller() {
    core_ = nullptr;
    (void)machine().release(memory_);
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  void show(int64_t t) {
    CHECK_EQ(
        machine().copy(memory_, video_.frames(t)[0].data, size_ * sizeof(float), handle_of(stream)),
        cuda::kSuccess);
  }
  Status tick() {
    FrameView frame = video_.frames(0)[0];
    frame.data = memory_;
    return core_->tick_on_device(&frame, nullptr, {stream, {}}, &results);
  }
  Status tick_on_host(int64_t t) { return core_->tick(video_.frames(t).data()); }
  std::vector<float> output() {
    const float* data = nullptr;
    must(core_->with_device("test", [&](DeviceTicks& device) -> Status {
      data = nets::must(device.data(results, 0));
      return {};
    }));
    std::vector<float> all(size_);
    CHECK_EQ(machine().copy(all.data(), data, size_ * sizeof(float), handle_of(stream)),
             cuda::kSuccess);
    return all;
  }
  StreamCore& core() { return *core_; }

  StreamNumber stream;
  DeviceResults results;

 private:
  Video video_;
  std::unique_ptr<StreamCore> core_;
  void* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

TEST(default_cuda_streams_order_ticks_that_run_beside_them) {
  const Results want = run(ref_plan(kSlow, 1), 1);
  const auto plan = device_plan("streams", kSlow, 1);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    machine().seed(seed);
    for (const StreamNumber number : {kLegacyStream, kThreadStream}) {
      Caller caller(plan, number);
      for (int64_t t = 0; t < kTicks; ++t) {
        caller.show(t);
        must(caller.tick());
        CHECK_EQ(caller.results.stream, number);
        CHECK_EQ(caller.core().ticks_done(0), t + 1);
        CHECK(same(caller.output(), want[static_cast<size_t>(t)]));
      }
    }
  }
  CHECK(nothing_refused());
}

TEST(a_capture_in_a_default_cuda_stream_takes_the_tick_along) {
  const Results want = run(ref_plan(kSlow, 1), 1);
  const auto plan = device_plan("wave", kSlow, 1);
  {
    Caller caller(plan, kThreadStream);
    cuda::Graph graph = nullptr;
    cuda::GraphExec exec = nullptr;
    CHECK_EQ(machine().begin_capture(handle_of(kThreadStream)), cuda::kSuccess);
    must(caller.tick());
    CHECK_EQ(machine().end_capture(handle_of(kThreadStream), &graph), cuda::kSuccess);
    CHECK_EQ(machine().instantiate(graph, &exec), cuda::kSuccess);
    CHECK_EQ(caller.results.turn, DeviceResults::kCaptured);
    for (int64_t t = 0; t < kTicks; ++t) {
      caller.show(t);
      CHECK_EQ(machine().launch(exec, handle_of(kThreadStream)), cuda::kSuccess);
      CHECK(same(caller.output(), want[static_cast<size_t>(t)]));
    }
    CHECK_EQ(caller.core().ticks_done(0), 0);
    std::vector<char> bytes(caller.core().snapshot_bytes());
    for (const Status& status : {caller.tick(), caller.tick_on_host(0),
                                 caller.core().snapshot(bytes.data(), bytes.size())}) {
      CHECK(status.code() == Code::state);
      CHECK(status.message().find("belong to a captured graph") != std::string::npos);
    }
    CHECK_EQ(machine().destroy_exec(exec) + machine().destroy_graph(graph), cuda::kSuccess);
  }
  CHECK(nothing_refused());
  CHECK(machine().leaks().empty());
}

// What fails before the tick runs leaves the state as it was; afterwards the Stream says so.
TEST(a_failure_among_a_callers_events_is_told) {
  const Results want = run(ref_plan(kSlow, 1), 1);
  const auto plan = device_plan("serial", kSlow, 1);
  bool through = false;
  int64_t failures = 0;
  for (int64_t call = 0; !through; ++call) {
    Caller caller(plan, kLegacyStream);
    caller.show(0);
    must(caller.tick());
    caller.show(1);
    machine().fail(call, cuda::kOutOfMemory);
    Status status = caller.tick();
    through = machine().calls() <= call;
    machine().fail_never();
    CHECK_EQ(status.ok(), through);
    failures += !status.ok();
    if (!status.ok()) status = caller.tick();
    if (status.ok()) CHECK(same(caller.output(), want[1]));
    if (status.ok()) CHECK_EQ(caller.core().ticks_done(0), 2);
  }
  CHECK(failures > 10);
  CHECK(nothing_refused());
  CHECK(machine().leaks().empty());
}

TEST(plans_of_the_host_take_no_frames_of_a_device) {
  auto stream = nets::must(StreamCore::create(ref_plan(kSlow, 1)));
  Video video(stream->plan());
  DeviceResults results;
  const Status status =
      stream->tick_on_device(video.frames(0).data(), nullptr, {kLegacyStream, {}}, &results);
  CHECK(status.code() == Code::unsupported);
  CHECK(status.message().find("backend=\"cuda\"") != std::string::npos);
}

TEST(results_are_those_of_a_tick_that_was_made) {
  Caller caller(device_plan("serial", kSlow, 1), kLegacyStream);
  caller.show(0);
  must(caller.tick());
  const auto data = [&](DeviceResults results) {
    return caller.core().with_device(
        "test", [&](DeviceTicks& device) { return device.data(results, 0).status(); });
  };
  CHECK(data(caller.results).ok());
  CHECK(data({DeviceResults::kCaptured, 0}).message().find("no tick") != std::string::npos);
  CHECK(data({1, 0}).code() == Code::state);
  must(caller.tick());
  must(caller.tick());
  CHECK(data({0, 0}).message().find("overwritten") != std::string::npos);
  CHECK(data({1, 0}).ok());
}
