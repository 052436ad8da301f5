// SPDX-License-Identifier: Apache-2.0
// What a machine without a device says, and what a Stream says where there is too little memory.
// The machine for tests stands in for the real one here.
#include "check.hpp"

#include <limits>
#include <string>
#include <vector>

#include "cuda_streams.hpp"

#include "backends/cuda/device.hpp"
#include "backends/registry.hpp"

namespace pvnet::cuda {

// In front of the one of the library.
Machine* real_machine(const char** /*why*/) { return &the_shim(); }

}  // namespace pvnet::cuda

using namespace pvnet;
using namespace pvnet::test;

namespace {

bool has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  std::fprintf(stderr, "no \"%s\" in: %s\n", part.c_str(), text.c_str());
  return false;
}

// Of a device that is asked for; `pvnet info` gets the same text from describe_backends().
void check_refusal(const std::string& begin, const std::string& end) {
  const Status status = find_backend("cuda", "").status();
  CHECK(status.code() == Code::unsupported);
  CHECK(status.message().starts_with("[find_backend] " + begin));
  CHECK(has(status.message(), end + ", or use backend=\"cpu\"."));
  const std::string quoted = status.message().substr(0, status.message().find('"'));
  CHECK(has(describe_backends(), quoted));
  CompileOptions o;
  o.backend = "cuda";
  const Graph g = nets::must(tiny::sums(false).wire(Wiring::sequential, 1));
  CHECK(has(Plan::compile(g, pvnet::Weights{}, o).status().message(), begin));
}

// Puts the machine back as it was.
class Planted {
 public:
  ~Planted() {
    machine().facts = facts_;
    machine().devices = 1;
    machine().driver = driver_;
    machine().fail_never();
  }

 private:
  const cuda::DeviceFacts facts_ = machine().facts;
  const int driver_ = machine().driver;
};

Status status_of_stream(const std::shared_ptr<const Plan>& plan) {
  return StreamCore::create(plan).status();
}

}  // namespace

TEST(without_a_driver) {
  const Planted planted;
  machine().driver = 0;
  check_refusal("there is no NVIDIA driver: got ", "Install the driver");
}

TEST(with_a_driver_that_is_too_old) {
  const Planted planted;
  machine().driver = 11080;
  check_refusal(
      "the NVIDIA driver is too old for this build: got a driver up to CUDA 11.8, expected a "
      "driver "
      "that runs CUDA ",
      "Update the driver");
}

TEST(without_a_device) {
  const Planted planted;
  machine().devices = 0;
  check_refusal("the driver has no device for this process: got ",
                "Look at nvidia-smi and CUDA_VISIBLE_DEVICES");
}

TEST(with_a_device_that_is_too_old) {
  const Planted planted;
  machine().facts.major = 7;
  machine().facts.minor = 5;
  check_refusal("the device is too old: got shim of compute capability 7.5, expected 8.0 or newer",
                "Choose another device with CUDA_VISIBLE_DEVICES");
}

TEST(with_a_runtime_that_does_not_start) {
  const Planted planted;
  machine().fail(0, 3, true);
  const Status status = find_backend("cuda", "").status();
  CHECK(has(status.message(),
            "the CUDA runtime does not start: got an error of the test (CUDA "
            "error 3), expected a device. Look at nvidia-smi"));
}

TEST(a_device_that_works_is_found) {
  CHECK(find_backend("cuda", "").ok());
  CHECK(has(describe_backends(), R"("isa": "sm80", "available": true, "why": "")"));
}

TEST(the_state_lies_in_the_memory_of_the_device) {
  const Planted planted;
  const auto plan = device_plan("serial", kPredictive);
  const int64_t before = machine().allocated_bytes;
  int64_t weights = 0, all = 0;
  {
    auto stream = nets::must(StreamCore::create(plan));
    all = machine().allocated_bytes - before;
    auto second = nets::must(StreamCore::create(plan));
    weights = 2 * all - (machine().allocated_bytes - before);
  }
  CHECK(weights > 0 && weights < all);
  machine().facts.memory_bytes = before + all;
  CHECK(status_of_stream(plan).ok());
  for (const int64_t room : {all - 1, weights, weights - 1, int64_t{0}}) {
    machine().facts.memory_bytes = before + room;
    const Status status = status_of_stream(plan);
    CHECK(status.code() == Code::out_of_memory);
    CHECK(has(status.message(), "[Stream.create] the memory of the device is too small: got "));
    CHECK(has(status.message(), "expected at most " +
                                    std::to_string(room < weights ? room : room - weights) +
                                    ", which it has left. Use a smaller batch, size or delay."));
    CHECK(machine().leaks().empty());
  }
}

// The host has room for what a tick moves, not for the state.
TEST(the_state_on_a_device_asks_nothing_of_the_host) {
  constexpr int64_t kHuge = int64_t{1} << 50;
  const auto on_device = std::const_pointer_cast<Plan>(device_plan("serial", kPredictive));
  on_device->state_bytes = kHuge;  // of which the device's own tables know nothing
  CHECK(status_of_stream(on_device).ok());
  const auto on_host = std::const_pointer_cast<Plan>(ref_plan(kPredictive));
  on_host->state_bytes = kHuge;
  CHECK(has(status_of_stream(on_host).message(), "the state does not fit into memory"));
}

TEST(frames_and_results_lie_in_the_memory_of_the_host) {
  const Planted planted;
  machine().facts.memory_bytes = std::numeric_limits<int64_t>::max();
  const auto plan = std::const_pointer_cast<Plan>(device_plan("serial", kPredictive));
  plan->values[static_cast<size_t>(plan->input_values[0])].shape.h = 1 << 30;
  const Status status = status_of_stream(plan);
  CHECK(status.code() == Code::out_of_memory);
  CHECK(has(status.message(),
            "[Stream.create] frames and results do not fit into memory of the host: got "));
  CHECK(machine().leaks().empty());
}
