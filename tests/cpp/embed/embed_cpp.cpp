// SPDX-License-Identifier: Apache-2.0
// pvnet.hpp over the same library: results as from C, failures as exceptions, and two threads on
// one stream get PVNET_STATE, never a race. argv[1]: a model of make_test_model.
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <pvnet/pvnet.hpp>
#include <thread>

using namespace pvnet::embed;

static int failures = 0;
#define CHECK(cond)                                                   \
  do {                                                                \
    if (!(cond)) {                                                    \
      ++failures;                                                     \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
    }                                                                 \
  } while (false)

static void two_threads(const Plan& plan) {
  Stream stream(plan);
  const std::vector<float> pixels(plan.input(0).size(), 0.5f);
  const pvnet_frame frame = pvnet_frame_f32(pixels.data(), 3, 16, 16);
  std::atomic<int> ok{0}, busy{0}, other{0};
  const auto hammer = [&] {
    for (int i = 0; i < 300; ++i) {
      const int status = pvnet_stream_tick(stream.get(), &frame, 1, nullptr);
      ++(status == PVNET_OK ? ok : status == PVNET_STATE ? busy : other);
    }
  };
  std::thread second(hammer);
  hammer();
  second.join();
  CHECK(other == 0);
  CHECK(stream.ticks(0) == ok.load());
}

static int run(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  const Model model(bytes.data(), bytes.size());
  CHECK(model.metadata("classes").size() == 23);
  CHECK(model.describe().front() == '{');
  const Plan plan(model);
  CHECK(plan.info().stages == 2 && plan.describe().size() > 100 && plan.json().size() > 100);
  Stream a(plan), b(plan);
  const std::vector<float> pixels(plan.input(0).size(), 0.25f);
  std::vector<float> from_a(plan.output(plan.find_output("logits")).size()), from_b(from_a);
  for (int t = 0; t < 8; ++t) {
    a.tick({pvnet_frame_f32(pixels.data(), 3, 16, 16)});
    if (t == 3) b.restore(a.snapshot());
    if (t > 3) b.tick({pvnet_frame_f32(pixels.data(), 3, 16, 16)});
  }
  a.read(0, 0, from_a.data(), from_a.size());
  b.read(0, 0, from_b.data(), from_b.size());
  CHECK(from_a == from_b && a.valid(0, 0) && b.ticks(0) == 8 && a.age_ticks(0, 0, 0) == 1);
  a.reset();
  CHECK(a.ticks(0) == 0 && !a.valid(0, 0));
  int status = PVNET_OK;
  try {
    a.tick({});
  } catch (const Error& e) {
    status = e.status();
  }
  CHECK(status == PVNET_INVALID_ARGUMENT);
  two_threads(plan);
  std::printf("%s\n", failures == 0 ? "ok" : "FAILED");
  return failures != 0;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  try {
    return run(argv[1]);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
