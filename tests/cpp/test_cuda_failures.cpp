// SPDX-License-Identifier: Apache-2.0
// Every call of the runtime fails once, and for ever, under every executor: nothing leaks, the
// message says what failed, and a Stream whose tick was half made says so for ever.
#include "check.hpp"

#include <string>
#include <utility>
#include <vector>

#include "cuda_streams.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

constexpr int64_t kMade = 4;  // ticks

template <class F>
class Finally {
 public:
  explicit Finally(F f) : f_(std::move(f)) {}
  ~Finally() { f_(); }

 private:
  F f_;
};

// "[where] what: got X, expected Y. Do Z."
bool is_clear(const Status& status) {
  const std::string& text = status.message();
  const size_t got = text.find(": got "), expected = text.find(", expected ");
  const bool clear = text.starts_with("[") && text.find("] ") < got && got < expected &&
                     expected != std::string::npos && text.ends_with(".") &&
                     (status.code() == Code::state || status.code() == Code::out_of_memory ||
                      status.code() == Code::unsupported);
  if (!clear) std::fprintf(stderr, "not clear: %s\n", text.c_str());
  return clear;
}

// Whether all that a Stream could still do repeats the failure.
bool is_poisoned(StreamCore& stream, const std::vector<FrameView>& frames, const Status& failure) {
  std::vector<char> snapshot(stream.snapshot_bytes());
  float output[256];
  for (const Status& status :
       {stream.tick(frames.data()), stream.reset(), stream.read_output(0, 0, output),
        stream.snapshot(snapshot.data(), snapshot.size())}) {
    if (status.message() != failure.message()) return false;
  }
  return true;
}

// Whether a Stream that meets a failure says so, and whether what it then still does is right.
bool fails_well(const std::shared_ptr<const Plan>& plan, const Results& want, bool for_ever) {
  auto made = StreamCore::create(plan);
  if (!made.ok()) return is_clear(made.status());
  const std::unique_ptr<StreamCore> owner = std::move(made).value();
  // A device that works lets go of the Stream; one that does not is asked in vain.
  const Finally end([&] {
    if (!for_ever) machine().fail_never();
  });
  StreamCore& stream = *owner;
  Video video(*plan);
  std::vector<float> got(want[0].size());
  for (int64_t t = 0; t < kMade; ++t) {
    const auto frames = video.frames(t);
    Status status;
    for (int attempt = 0; attempt < 2; ++attempt) {
      const Status before = std::exchange(status, stream.tick(frames.data(), mask_of(t).data()));
      if (status.ok()) break;
      if (!is_clear(status)) return false;
      if (attempt > 0 && !for_ever && status.message() != before.message()) return false;
    }
    if (!status.ok()) return for_ever || is_poisoned(stream, frames, status);
    const size_t size = got.size() / kBatch;
    for (int r = 0; r < kBatch; ++r) {
      float* const to = got.data() + static_cast<size_t>(r) * size;
      status = stream.read_output(0, r, to);
      if (!status.ok() && !is_clear(status)) return false;
      if (!status.ok() && !for_ever) status = stream.read_output(0, r, to);
      if (!status.ok()) return for_ever;
    }
    if (!same(got, want[static_cast<size_t>(t)])) return false;
  }
  return true;
}

enum Failures { kOnce, kOnceAndForEver };

void fail_each_call(const std::string& executor, const Results& want, Failures failures) {
  const auto plan = device_plan(executor, kSequential);
  machine().fail_never();
  CHECK(fails_well(plan, want, true));  // nothing does
  const int64_t calls = machine().calls();
  CHECK(calls > 50);
  for (int variant = 0; variant <= failures; ++variant) {
    const bool for_ever = variant == kOnceAndForEver;
    for (int64_t call = 0; call < calls; call += check::every()) {
      machine().fail(call, for_ever ? 719 : cuda::kOutOfMemory, for_ever);
      const bool well = fails_well(plan, want, for_ever);
      if (!well) {
        std::fprintf(stderr, "%s: call %d\n", executor.c_str(), static_cast<int>(call));
      }
      CHECK(well);
      CHECK(machine().leaks().empty());
      machine().fail_never();
      CHECK(nothing_refused());
    }
  }
}

}  // namespace

TEST(a_failure_at_each_call_leaks_nothing) {
  const Results want = run(ref_plan(kSequential), 1);
  for (const std::string executor : kExecutors) {
    const bool whole = executor == "streams" || executor == "graph";
    fail_each_call(executor, want, whole ? kOnceAndForEver : kOnce);
  }
}

TEST(a_failure_while_stages_are_measured_leaks_nothing) {
  machine().facts.clock = true;
  fail_each_call("streams", run(ref_plan(kSequential), 1), kOnce);
  machine().facts.clock = false;
}

TEST(a_failed_device_is_named_and_ends_the_stream) {
  auto stream = nets::must(StreamCore::create(device_plan("graph", kPredictive)));
  Video video(stream->plan());
  must(stream->tick(video.frames(0).data()));
  machine().fail(0, 719, true);
  for (int i = 0; i < 2; ++i) {
    const Status status = stream->tick(video.frames(1).data());
    CHECK(status.message().find("the device failed") != std::string::npos);
    CHECK(status.message().find("Make a new Stream in a new process.") != std::string::npos);
    machine().fail_never();
  }
}
