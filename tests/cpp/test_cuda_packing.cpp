// SPDX-License-Identifier: Apache-2.0
// Which cuda_stream a stage runs on: by planted times, by a profile, by the cost model.
#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "cuda_streams.hpp"

#include "backends/cuda/device.hpp"
#include "runtime/cuda/resident.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

constexpr int kStages = 12;     // of the chain
constexpr size_t kStreams = 8;  // that the executor takes at most
constexpr double kShort = 50, kLong = 100;
using Packing = std::map<int, cuda::CudaStream>;  // by stage
using Times = std::vector<double>;                // microseconds by stage

int stage_of(const Plan& plan, const cuda::KernelLaunch& l) {
  const pv_tile& tile = l.program.tiles[l.call.first_tile];
  return plan.ops[static_cast<size_t>(plan.device->plan_op[static_cast<size_t>(tile.op)])].stage;
}

// Nodes of equal work, each a stage.
std::shared_ptr<Plan> chain_plan(const char* backend, const CompileOptions& like = {}) {
  std::vector<std::string> nodes = {
      R"({"op":"input","name":"x","attrs":{"channels":3,"height":5,"width":4}})"};
  std::string last = "x";
  for (int i = 0; i < kStages; ++i) {
    const std::string name = "a" + std::to_string(i);
    nodes.push_back(R"({"op":"act","name":")" + name + R"(","inputs":[")" + last +
                    R"("],"attrs":{"act":"relu"}})");
    last = name;
  }
  const Graph g = nets::must(nets::make(nodes, last).wire(Wiring::predictive, kStages));
  CompileOptions o = options(1);
  o.costs = like.costs;
  auto plan = std::const_pointer_cast<Plan>(nets::must(Plan::compile(g, pvnet::Weights{}, o)));
  if (std::string(backend) == "ref") return plan;
  plan->device = tiny::Builder(*plan).take();
  plan->options.isa = "shim";
  plan->options.executor = "streams";
  return plan;
}

// Four long stages and eight short ones, in an order of the seed.
Times times_of(unsigned seed) {
  Times times(kStages, kShort);
  std::fill_n(times.begin(), 4, kLong);
  std::shuffle(times.begin(), times.end(), std::mt19937(seed));
  return times;
}

bool makes_tiles(const cuda::KernelLaunch& l) {
  return l.kernel != cuda::Kernel::begin && l.kernel != cuda::Kernel::end;
}

// The machine takes `times` for the kernels of stages, and has a clock, for as long as it lives.
class Planted {
 public:
  Planted(const Plan& plan, const Times& times, bool clock = true) {
    machine().facts.clock = clock;
    machine().kernel_ns = [&plan, times](const cuda::KernelLaunch& l) -> int64_t {
      if (!makes_tiles(l)) return 0;
      return static_cast<int64_t>(times[static_cast<size_t>(stage_of(plan, l))] * 1e3);
    };
  }
  ~Planted() {
    machine().facts.clock = false;
    machine().kernel_ns = nullptr;
    machine().on_launch = nullptr;
  }
};

Packing packing_of(StreamCore& stream) {
  const Plan& plan = stream.plan();
  Packing packing;
  machine().on_launch = [&](const cuda::KernelLaunch& l, cuda::CudaStream s) {
    if (makes_tiles(l)) packing[stage_of(plan, l)] = s;
  };
  Video video(plan);
  must(stream.tick(video.frames(0).data()));
  machine().on_launch = nullptr;
  return packing;
}

// Of cuda_streams, in order.
Times loads_of(const Packing& packing, const Times& times) {
  std::map<cuda::CudaStream, double> loads;
  for (const auto& [stage, stream] : packing) loads[stream] += times[static_cast<size_t>(stage)];
  Times sorted;
  for (const auto& [stream, load] : loads) sorted.push_back(load);
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// Which stages share a cuda_stream.
std::set<std::set<int>> groups_of(const Packing& packing) {
  std::map<cuda::CudaStream, std::set<int>> by_stream;
  for (const auto& [stage, stream] : packing) by_stream[stream].insert(stage);
  std::set<std::set<int>> groups;
  for (const auto& [stream, stages] : by_stream) groups.insert(stages);
  return groups;
}

const Times kLevel(kStreams, kLong);  // all cuda_streams have the same to do

}  // namespace

TEST(stages_are_packed_by_their_measured_times) {
  std::set<std::set<std::set<int>>> packings;
  for (unsigned seed = 0; seed < 6; ++seed) {
    const auto plan = chain_plan("cuda");
    const Times times = times_of(seed);
    const Planted planted(*plan, times);
    auto stream = nets::must(StreamCore::create(plan));
    const Packing packing = packing_of(*stream);
    CHECK_EQ(packing.size(), size_t{kStages});
    CHECK(loads_of(packing, times) == kLevel);
    packings.insert(groups_of(packing));
    // Another Stream of the plan measures nothing and packs alike.
    const size_t started = machine().started();
    auto other = nets::must(StreamCore::create(plan));
    CHECK_EQ(machine().started(), started);
    CHECK(groups_of(packing_of(*other)) == groups_of(packing));
  }
  CHECK(packings.size() > 3);
  CHECK(nothing_refused());
}

TEST(equal_times_give_equal_packings) {
  const Times times = times_of(7);
  std::set<std::set<std::set<int>>> packings;
  for (int i = 0; i < 3; ++i) {
    const auto plan = chain_plan("cuda");
    const Planted planted(*plan, times);
    machine().seed(static_cast<uint64_t>(i));
    packings.insert(groups_of(packing_of(*nets::must(StreamCore::create(plan)))));
  }
  CHECK_EQ(packings.size(), size_t{1});
}

TEST(a_profile_is_taken_at_its_word) {
  for (unsigned seed = 0; seed < 3; ++seed) {
    const Times times = times_of(seed);
    CompileOptions o;
    for (int i = 0; i < kStages; ++i) {
      o.costs["a" + std::to_string(i)] = times[static_cast<size_t>(i)];
    }
    const auto plan = chain_plan("cuda", o);
    const Planted planted(*plan, Times(kStages, 1));  // which nobody asks for
    const size_t started = machine().started();
    auto stream = nets::must(StreamCore::create(plan));
    CHECK_EQ(machine().started(), started);
    CHECK(loads_of(packing_of(*stream), times) == kLevel);
  }
}

TEST(without_a_clock_the_cost_model_packs) {
  const auto plan = chain_plan("cuda");
  const Planted planted(*plan, times_of(0), false);
  const size_t started = machine().started();
  auto stream = nets::must(StreamCore::create(plan));
  CHECK_EQ(machine().started(), started);
  // Twelve stages that cost the same.
  CHECK((loads_of(packing_of(*stream), Times(kStages, 1)) == Times{1, 1, 1, 1, 2, 2, 2, 2}));
}

TEST(measured_streams_give_the_bits_of_ref) {
  const Results want = run(chain_plan("ref"), 1);
  for (unsigned seed = 0; seed < 6; ++seed) {
    const auto plan = chain_plan("cuda");
    const Planted planted(*plan, times_of(seed));
    machine().seed(seed);
    CHECK(same_results(run(plan, 1), want));
  }
  CHECK(nothing_refused());
  CHECK(machine().leaks().empty());
}

TEST(times_belong_to_phases) {
  const auto plan = device_plan("streams", kSlow, 1);
  CHECK(plan->hyper_period > 1);
  const Planted planted(*plan, Times(static_cast<size_t>(plan->graph.n_stages()), kLong));
  auto stream = nets::must(StreamCore::create(plan));
  const auto device = nets::must(cuda::find_device("shim"));
  const auto resident = nets::must(cuda::Resident::of(plan, device));
  const auto times = resident->stage_times();
  CHECK(times != nullptr);
  const auto hyper = static_cast<size_t>(plan->hyper_period);
  CHECK_EQ(times->size(), 1 + hyper);
  bool differ = false;
  for (size_t s = 0; s < (*times)[0].size(); ++s) {
    double sum = 0;
    for (size_t phase = 0; phase < hyper; ++phase) {
      const double us = (*times)[1 + phase][s];
      double kernels = 0;
      const auto& list = resident->list(device::Gather::op, static_cast<int>(phase)).list;
      for (const device::Launch& l : list.launches) kernels += l.stage == static_cast<int>(s);
      CHECK(std::abs(us - kernels * kLong) < kLong / 4);
      differ = differ || us != (*times)[1][s];
      sum += us;
    }
    CHECK(std::abs((*times)[0][s] - sum / static_cast<double>(hyper)) < 1e-6);
  }
  CHECK(differ);
}
