// SPDX-License-Identifier: Apache-2.0
// Plans for a device on the shim, tick by tick beside the reference backend: tables, weights and
// launch lists together with the kernels that read them.
#include <cmath>
#include <cstdlib>
#include <string>

#include "runtime/stream.hpp"

#include "check.hpp"
#include "device_plans.hpp"
#include "device_ticks.hpp"

namespace {

using namespace pvnet;
using device::Gather;
using device::gather;

struct Frames {
  std::vector<std::vector<float>> floats;
  std::vector<FrameView> views;
};

Frames random_frames(const Plan& plan, std::mt19937& rng) {
  Frames f;
  for (const int v : plan.input_values) {
    const Shape& s = plan.values[static_cast<size_t>(v)].shape;
    for (int row = 0; row < plan.options.batch; ++row) {
      std::vector<float> x(static_cast<size_t>(s.c) * static_cast<size_t>(s.h * s.w));
      for (float& e : x) e = std::uniform_real_distribution<float>(-1, 1)(rng);
      f.floats.push_back(std::move(x));
      f.views.push_back({FrameType::f32_chw,
                         f.floats.back().data(),
                         {int64_t{s.h} * s.w, s.w, 1},
                         s.h,
                         s.w,
                         s.c});
    }
  }
  return f;
}

// What a run of ticks gave, [tick][row][floats].
using Results = std::vector<float>;

Results run_reference(const std::shared_ptr<const Plan>& plan, int ticks, uint32_t seed) {
  auto stream = nets::must(StreamCore::create(plan));
  std::mt19937 rng(seed);
  Results all;
  for (int t = 0; t < ticks; ++t) {
    const Frames f = random_frames(*plan, rng);
    if (!stream->tick(f.views.data()).ok()) std::abort();
    for (int row = 0; row < plan->options.batch; ++row) {
      for (size_t o = 0; o < plan->outputs.size(); ++o) {
        const Shape& s = plan->outputs[o].shape;
        std::vector<float> y(static_cast<size_t>(s.c) * static_cast<size_t>(s.h * s.w));
        if (!stream->read_output(static_cast<int>(o), row, y.data()).ok()) std::abort();
        all.insert(all.end(), y.begin(), y.end());
      }
    }
  }
  return all;
}

// phases: a list for every phase of the hyper-period, else the one of all operations.
Results run_device(const Plan& plan, int ticks, uint32_t seed, Gather how, bool phases,
                   std::mt19937* shuffle) {
  device_ticks::Device device(plan, std::string(plan.options.isa) == "shim-plain");
  std::mt19937 rng(seed);
  Results all;
  for (int t = 0; t < ticks; ++t) {
    const Frames f = random_frames(plan, rng);
    const int phase = phases ? static_cast<int>(t % plan.hyper_period) : -1;
    device.tick(f.views, gather(plan, *plan.device, how, phase), shuffle);
    for (int row = 0; row < plan.options.batch; ++row) {
      all.insert(all.end(), device.outputs(row), device.outputs(row) + plan.device->row_floats);
    }
  }
  return all;
}

double distance(const Results& got, const Results& wanted) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    error += (double{got[i]} - wanted[i]) * (double{got[i]} - wanted[i]);
    norm += double{wanted[i]} * wanted[i];
  }
  return std::sqrt(error / std::max(norm, 1e-30));
}

bool same_bits(const Results& a, const Results& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::shared_ptr<const Plan> reference(const Graph& g, const Weights& w, int batch) {
  CompileOptions o;
  o.backend = "ref", o.lanes = 1, o.batch = batch;
  return nets::must(Plan::compile(g, w, o));
}

double most(const std::string& dtype) {
  return dtype == "f32" ? 2e-4 : dtype == "tf32" ? 4e-3 : dtype == "f16" ? 4e-3 : 3e-2;
}

}  // namespace

TEST(ticks_of_random_networks_are_those_of_the_reference) {
  double worst[4] = {};
  for (uint32_t seed = 1; seed <= 60; seed += static_cast<uint32_t>(check::every())) {
    const Graph g = device_plans::random_graph(seed);
    const Weights w = nets::random_weights(g, seed);
    const int d = static_cast<int>(seed % 4), batch = 1 + static_cast<int>(seed / 4 % 2);
    const int ticks = 5 + static_cast<int>(seed % 3);
    const char* const isa = seed % 3 == 0 ? "shim-plain" : "shim";
    const Results wanted = run_reference(reference(g, w, batch), ticks, seed);
    const auto plan = device_plans::plan_of(g, w, device_plans::kDtypes[d], isa, batch);
    const Results got = run_device(*plan, ticks, seed, Gather::op, false, nullptr);
    const double far = distance(got, wanted);
    if (!(far <= most(device_plans::kDtypes[d]))) {
      std::fprintf(stderr, "seed %u, %s, %s: %g\n", seed, isa, device_plans::kDtypes[d], far);
    }
    CHECK(far <= most(device_plans::kDtypes[d]));
    worst[d] = std::max(worst[d], far);
    std::mt19937 shuffle(seed);
    const Gather how = device_plans::kGathers[seed % 4];
    CHECK(same_bits(got, run_device(*plan, ticks, seed, how, true, &shuffle)));
  }
  for (int d = 0; d < 4; ++d) std::printf("  %s: %.2g\n", device_plans::kDtypes[d], worst[d]);
}

TEST(every_way_to_gather_gives_the_same_bits) {
  for (const Wiring wiring : {Wiring::sequential, Wiring::predictive}) {
    const Graph g = nets::must(device_plans::large(9).wire(wiring, 4));
    const Weights w = nets::random_weights(g);
    const Results wanted = run_reference(reference(g, w, 1), 6, 1);
    for (const char* dtype : device_plans::kDtypes) {
      const auto plan = device_plans::plan_of(g, w, dtype, "shim", 1);
      const Results first = run_device(*plan, 6, 1, Gather::op, false, nullptr);
      const double far = distance(first, wanted);
      std::printf("  %s: %.2g\n", dtype, far);
      CHECK(far <= most(dtype));
      std::mt19937 shuffle(1);
      for (const Gather how : device_plans::kGathers) {
        CHECK(same_bits(first, run_device(*plan, 6, 1, how, true, &shuffle)));
      }
    }
  }
}
