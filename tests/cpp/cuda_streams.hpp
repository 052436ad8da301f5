// SPDX-License-Identifier: Apache-2.0
// Videos on the machine for tests: plans, frames, and ticks whose results are compared with those
// of `ref`.
#pragma once

#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tiny_program.hpp"

#include "runtime/stream.hpp"
#include "shim/shim_machine.hpp"

namespace pvnet::test {

constexpr int kBatch = 3;
constexpr int kTicks = 8;
enum Net { kPredictive, kSlow, kSequential, kNets };
constexpr const char* kExecutors[] = {"serial", "streams", "graph", "group", "wave", "packed"};

inline cuda::fake::FakeCuda& machine() { return cuda::the_shim(); }

inline CompileOptions options(int batch) {
  CompileOptions o;
  o.backend = "ref";
  o.lanes = 1;
  o.batch = batch;
  return o;
}

inline std::shared_ptr<const Plan> ref_plan(Net net, int batch = kBatch) {
  const Wiring wiring = net == kSequential ? Wiring::sequential : Wiring::predictive;
  const Graph g = nets::must(tiny::sums(net == kSlow).wire(wiring, 4));
  return nets::must(Plan::compile(g, pvnet::Weights{}, options(batch)));
}

inline std::shared_ptr<const Plan> device_plan(const std::string& executor, Net net,
                                               int batch = kBatch) {
  auto plan = std::const_pointer_cast<Plan>(ref_plan(net, batch));
  plan->device = tiny::Builder(*plan).take();
  plan->options.isa = "shim";
  plan->options.executor = executor;
  return plan;
}

struct Video {
  explicit Video(const Plan& plan) : plan_(plan) {}
  // Frames of tick t, of every row.
  std::vector<FrameView> frames(int64_t t) {
    const Shape& s = plan_.values[static_cast<size_t>(plan_.input_values[0])].shape;
    const auto batch = static_cast<size_t>(plan_.options.batch);
    const auto size = static_cast<size_t>(s.c) * s.h * s.w;
    std::mt19937 rng(static_cast<uint32_t>(t) * 7 + 1);
    data_.assign(batch * size, 0.0F);
    for (float& x : data_) x = static_cast<float>(static_cast<int>(rng() % 200) - 100) * 0.125F;
    std::vector<FrameView> all;
    for (size_t r = 0; r < batch; ++r) {
      FrameView f;
      f.data = data_.data() + r * size;
      f.strides[0] = int64_t{s.h} * s.w, f.strides[1] = s.w, f.strides[2] = 1;
      f.h = s.h, f.w = s.w, f.c = s.c;
      all.push_back(f);
    }
    return all;
  }

 private:
  const Plan& plan_;
  std::vector<float> data_;
};

inline std::vector<float> outputs(const StreamCore& stream) {
  const Plan& plan = stream.plan();
  const Shape& s = plan.outputs[0].shape;
  const auto size = static_cast<size_t>(s.c) * s.h * s.w;
  std::vector<float> all(static_cast<size_t>(plan.options.batch) * size);
  for (int r = 0; r < plan.options.batch; ++r) {
    const Status status = stream.read_output(0, r, all.data() + static_cast<size_t>(r) * size);
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
    CHECK(status.ok());
  }
  return all;
}

inline bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

inline std::vector<uint8_t> mask_of(int64_t t) {
  return {1, static_cast<uint8_t>(t % 3 != 1), static_cast<uint8_t>(t % 2 == 0)};
}

inline void must(const Status& status) {
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  CHECK(status.ok());
}

// Outputs of every tick in which something is read: with `read_every` > 1 several ticks are under
// way at once. Rows freeze; one is reset.
inline std::vector<std::vector<float>> run(const std::shared_ptr<const Plan>& plan,
                                           int read_every) {
  auto stream = nets::must(StreamCore::create(plan));
  Video video(*plan);
  std::vector<std::vector<float>> all;
  for (int64_t t = 0; t < kTicks; ++t) {
    const std::vector<uint8_t> mask = mask_of(t);
    must(stream->tick(video.frames(t).data(),
                      plan->options.batch == kBatch ? mask.data() : nullptr));
    if (t % read_every == read_every - 1) all.push_back(outputs(*stream));
    if (t == 5 && plan->options.batch == kBatch) {
      const uint8_t only[] = {0, 0, 1};
      must(stream->reset(only));
      all.push_back(outputs(*stream));
    }
  }
  return all;
}

using Results = std::vector<std::vector<float>>;

inline bool same_results(const Results& a, const Results& b) {
  bool equal = a.size() == b.size();
  for (size_t i = 0; equal && i < a.size(); ++i) equal = same(a[i], b[i]);
  return equal;
}

inline bool nothing_refused() {
  const std::vector<std::string> refused = machine().refused();
  if (!refused.empty()) std::fprintf(stderr, "refused: %s\n", refused[0].c_str());
  return refused.empty();
}

}  // namespace pvnet::test
