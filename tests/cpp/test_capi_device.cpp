// SPDX-License-Identifier: Apache-2.0
// The C interface on frames that lie on the device, on the machine for tests.
#include <pvnet/pvnet.h>
#include <pvnet/pvnet.hpp>

#include <cmath>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "model_fixture.hpp"

#include "shim/shim_machine.hpp"

namespace {

namespace embed = pvnet::embed;

constexpr int kBatch = 2, kTicks = 5, kSide = 16, kOut = 5;
constexpr size_t kBytes = size_t{3} * kSide * kSide;

pvnet::cuda::fake::FakeCuda& machine() { return pvnet::cuda::the_shim(); }

embed::Plan plan_of(const char* backend, const char* isa) {
  const std::string bytes = fixture::saved_bytes(fixture::model_of(fixture::small_graph()));
  const embed::Model model(bytes.data(), bytes.size());
  pvnet_options options = pvnet_options_default();
  options.backend = backend;
  options.isa = isa;
  options.batch = kBatch;
  options.executor = isa == nullptr ? nullptr : "serial";
  return embed::Plan(model, options);
}

bool last_error_has(const char* text) { return std::strstr(pvnet_last_error(), text) != nullptr; }

// Frames of every row in the memory of the device, and a cuda_stream.
struct Caller {
  Caller() {
    CHECK_EQ(machine().allocate(&memory, kBatch * kBytes * sizeof(float)), pvnet::cuda::kSuccess);
    CHECK_EQ(machine().create_stream(&stream), pvnet::cuda::kSuccess);
  }
  ~Caller() {
    (void)machine().synchronise(stream);
    (void)machine().release(memory);
    (void)machine().destroy_stream(stream);
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  void show(const void* host, size_t bytes) {
    CHECK_EQ(machine().copy(memory, host, bytes, stream), pvnet::cuda::kSuccess);
  }
  std::vector<float> output(const embed::Stream& of, int row) {
    std::vector<float> all(kOut);
    CHECK_EQ(machine().copy(all.data(), of.device_output(0, row), kOut * sizeof(float), stream),
             pvnet::cuda::kSuccess);
    return all;
  }

  void* memory = nullptr;
  pvnet::cuda::CudaStream stream = nullptr;
};

std::vector<uint8_t> images(int t) {
  std::vector<uint8_t> all(kBatch * kBytes);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i * 37 + t * 101);
  return all;
}

std::vector<pvnet_frame> frames_of(const void* pixels) {
  std::vector<pvnet_frame> frames;
  for (int row = 0; row < kBatch; ++row) {
    const auto* at = static_cast<const uint8_t*>(pixels) + row * kBytes;
    frames.push_back(pvnet_frame_u8(at, kSide, kSide, 3, 0));
  }
  return frames;
}

}  // namespace

TEST(ticks_on_the_device_give_what_ticks_on_the_host_give) {
  {
    const embed::Plan plan = plan_of("cuda", "shim");
    embed::Stream host(plan), device(plan);
    Caller caller;
    for (int t = 0; t < kTicks; ++t) {
      const uint8_t rows[kBatch] = {1, static_cast<uint8_t>(t % 2 == 0)};
      const std::vector<uint8_t> pixels = images(t);
      host.tick(frames_of(pixels.data()).data(), kBatch, rows);
      caller.show(pixels.data(), pixels.size());
      device.tick_device(frames_of(caller.memory).data(), kBatch, caller.stream, rows);
      for (int row = 0; row < kBatch; ++row) {
        std::vector<float> want(kOut), copied(kOut);
        host.read(0, row, want.data(), want.size());
        CHECK(caller.output(device, row) == want);
        device.read(0, row, copied.data(), copied.size());
        CHECK(copied == want);
        CHECK_EQ(device.ticks(row), host.ticks(row));
        CHECK_EQ(device.valid(0, row), host.valid(0, row));
      }
      CHECK(device.device_finite());
    }
  }
  CHECK(machine().refused().empty());
  CHECK(machine().leaks().empty());
}

TEST(a_null_cuda_stream_is_the_legacy_default_one) {
  const embed::Plan plan = plan_of("cuda", "shim");
  embed::Stream host(plan), device(plan);
  Caller caller;
  const auto legacy = reinterpret_cast<pvnet::cuda::CudaStream>(uintptr_t{1});
  const std::vector<uint8_t> pixels = images(0);
  CHECK_EQ(machine().copy(caller.memory, pixels.data(), pixels.size(), legacy),
           pvnet::cuda::kSuccess);
  device.tick_device(frames_of(caller.memory).data(), kBatch, nullptr);
  host.tick(frames_of(pixels.data()).data(), kBatch);
  std::vector<float> want(kOut), got(kOut);
  host.read(0, 1, want.data(), want.size());
  CHECK_EQ(machine().copy(got.data(), device.device_output(0, 1), kOut * sizeof(float), legacy),
           pvnet::cuda::kSuccess);
  CHECK(got == want);
  CHECK(machine().refused().empty());
}

TEST(floats_that_are_not_finite_are_told_after_the_tick) {
  const embed::Plan plan = plan_of("cuda", "shim");
  embed::Stream stream(plan);
  Caller caller;
  for (const float value : {1.0F, NAN, 2.0F}) {
    const std::vector<float> pixels(kBatch * kBytes, value);
    caller.show(pixels.data(), pixels.size() * sizeof(float));
    std::vector<pvnet_frame> frames;
    for (int row = 0; row < kBatch; ++row) {
      const auto* at = static_cast<const float*>(caller.memory) + row * kBytes;
      frames.push_back(pvnet_frame_f32(at, 3, kSide, kSide));
    }
    stream.tick_device(frames.data(), kBatch, caller.stream);
    CHECK_EQ(stream.device_finite(), std::isfinite(value));
  }
}

TEST(wrong_calls_are_refused) {
  const embed::Plan plan = plan_of("cuda", "shim");
  embed::Stream stream(plan);
  const float* data = nullptr;
  int finite = 0;
  CHECK_EQ(pvnet_stream_device_output(stream.get(), 0, 0, &data), PVNET_STATE);
  CHECK(last_error_has("no tick"));
  CHECK_EQ(pvnet_stream_device_finite(stream.get(), &finite), PVNET_STATE);
  Caller caller;
  const std::vector<uint8_t> pixels = images(0);
  caller.show(pixels.data(), pixels.size());
  const auto frames = frames_of(caller.memory);
  CHECK_EQ(pvnet_stream_tick_device(stream.get(), nullptr, kBatch, nullptr, caller.stream),
           PVNET_INVALID_ARGUMENT);
  CHECK_EQ(pvnet_stream_tick_device(stream.get(), frames.data(), 1, nullptr, caller.stream),
           PVNET_INVALID_ARGUMENT);
  CHECK_EQ(pvnet_stream_tick_device(nullptr, frames.data(), kBatch, nullptr, caller.stream),
           PVNET_INVALID_ARGUMENT);
  stream.tick_device(frames.data(), kBatch, caller.stream);
  CHECK_EQ(pvnet_stream_device_output(stream.get(), 0, 0, nullptr), PVNET_INVALID_ARGUMENT);
  CHECK_EQ(pvnet_stream_device_output(stream.get(), 1, 0, &data), PVNET_INVALID_ARGUMENT);
  CHECK_EQ(pvnet_stream_device_output(stream.get(), 0, kBatch, &data), PVNET_INVALID_ARGUMENT);
  CHECK_EQ(pvnet_stream_device_finite(stream.get(), nullptr), PVNET_INVALID_ARGUMENT);
  CHECK_EQ(pvnet_stream_ticks(stream.get(), 0, nullptr), PVNET_INVALID_ARGUMENT);

  embed::Stream host(plan_of("ref", nullptr));
  CHECK_EQ(pvnet_stream_tick_device(host.get(), frames.data(), kBatch, nullptr, caller.stream),
           PVNET_UNSUPPORTED);
  CHECK(last_error_has("backend=\"cuda\""));
  CHECK_EQ(pvnet_stream_device_output(host.get(), 0, 0, &data), PVNET_UNSUPPORTED);
}
