// SPDX-License-Identifier: Apache-2.0
// Tables and launch lists for a device: those of right plans are proved, whatever the network.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "kernels/conv/shared_bytes.h"
#include "plan/device/checks.hpp"
#include "plan/device/number.hpp"

#include "check.hpp"
#include "device_plans.hpp"

namespace {

using namespace pvnet;
using namespace pvnet::device;

bool proved(const Status& status, const std::string& what) {
  if (!status.ok()) std::fprintf(stderr, "%s: %s\n", what.c_str(), status.message().c_str());
  return status.ok();
}

void prove_all(const Plan& plan, const std::string& what) {
  CHECK(proved(validate(plan), what));
  for (const Gather how : device_plans::kGathers) {
    const auto phases = static_cast<int>(std::min<int64_t>(plan.hyper_period, 8));
    for (int phase = -1; phase < phases; ++phase) {
      const LaunchList list = gather(plan, *plan.device, how, phase);
      CHECK(proved(pvnet::device::check(plan, *plan.device, list),
                   what + ", " + to_string(how) + " " + std::to_string(phase)));
    }
  }
}

struct Kinds {
  int cores = 0, split = 0, folded = 0, plain_conv = 0, depthwise = 0, groups = 0, narrow = 0;
};
Kinds kinds_of(const Plan& plan) {
  Kinds k;
  const Program& p = *plan.device;
  for (size_t i = 0; i < p.ops.size(); ++i) {
    const pv_op& op = p.ops[i];
    const bool cores = op.kind == PV_CONV && op.plain == 0;
    k.cores += cores;
    k.split += op.splits > 1;
    k.folded += cores && op.pixel_bytes != PV_K_BYTES;
    k.plain_conv += op.kind == PV_CONV && op.plain != 0;
    k.depthwise += op.kind == PV_DEPTHWISE;
    k.groups += i > 0 && p.plan_op[i] == p.plan_op[i - 1];
  }
  for (const pvnet_device_value& v : p.values) k.narrow += v.pixel_stride == kNarrowChannels;
  return k;
}

}  // namespace

TEST(tables_and_launches_of_random_networks_are_proved) {
  const char* const graphs = std::getenv("PVNET_PLAN_GRAPHS");
  const auto last = static_cast<uint32_t>(graphs == nullptr ? 300 : std::atoi(graphs));
  int ops = 0;
  for (uint32_t seed = 1; seed <= last; ++seed) {
    const auto plan = device_plans::random_plan(seed);
    prove_all(*plan, "seed " + std::to_string(seed));
    ops += static_cast<int>(plan->device->ops.size());
  }
  std::printf("  %u networks, %d operations\n", last, ops);
}

TEST(every_kernel_has_an_operation) {
  for (const char* dtype : device_plans::kDtypes) {
    for (const Wiring wiring : {Wiring::sequential, Wiring::predictive}) {
      const Graph g = nets::must(device_plans::large().wire(wiring, 3));
      const auto plan = device_plans::plan_of(g, nets::random_weights(g), dtype, "shim", 2);
      prove_all(*plan, dtype);
      const Kinds k = kinds_of(*plan);
      CHECK_EQ(k.folded, 1);
      CHECK_EQ(k.groups, 1);
      CHECK_EQ(k.depthwise, 1);
      CHECK_EQ(k.plain_conv, 1);  // 16 groups of 4 channels
      CHECK(k.split >= 1);
      CHECK(k.cores >= 6);
      CHECK_EQ(k.narrow, 1);
    }
  }
}

TEST(plain_programs_have_simple_kernels_alone) {
  const Graph g = device_plans::large();
  const auto plan = device_plans::plan_of(g, nets::random_weights(g), "bf16", "shim-plain", 1);
  prove_all(*plan, "plain");
  for (const pv_op& op : plan->device->ops) CHECK_EQ(op.plain, 1);
  CHECK_EQ(plan->device->partial_floats, 0);
}

TEST(what_has_no_room_on_tensor_cores_has_a_simple_kernel) {
  const auto cores = [](const std::string& channels, const char* window, const char* pad) {
    const Graph g = nets::make(
        {
            R"({"op":"input","name":"x","attrs":{"height":33,"width":33,"channels":)" + channels +
                "}}",
            R"({"op":"conv3d","name":"y","inputs":["x"],"attrs":{"out":3,"kernel":[1,)" +
                std::string(window) + R"(],"padding":)" + pad + "}}",
        },
        "y");
    const auto plan = device_plans::plan_of(g, nets::random_weights(g), "f32", "shim", 1);
    prove_all(*plan, channels);
    return kinds_of(*plan).cores;
  };
  CHECK_EQ(cores("4096", "1,1", "[0,0]"), 1);  // 256 patches
  CHECK_EQ(cores("4097", "1,1", "[0,0]"), 0);
  CHECK_EQ(cores("8", "15,15", "[7,7]"), 1);  // two patches of 15 x 15 pixels
  CHECK_EQ(cores("8", "31,31", "[15,15]"), 0);
  CHECK_EQ(cores("3", "29,29", "[14,14]"), 1);  // narrow pixels
  CHECK_EQ(cores("3", "1024,1024", "[512,512]"), 0);
}

// The same bits whatever the batch: nothing but rows, cells and counters depends on it.
TEST(operations_do_not_depend_on_the_batch) {
  const Graph g = device_plans::large();
  const auto one = device_plans::plan_of(g, nets::random_weights(g), "f16", "shim", 1);
  const auto three = device_plans::plan_of(g, nets::random_weights(g), "f16", "shim", 3);
  CHECK_EQ(one->device->ops.size(), three->device->ops.size());
  for (size_t i = 0; i < one->device->ops.size(); ++i) {
    pv_op a = one->device->ops[i], b = three->device->ops[i];
    a.partial0 = b.partial0 = a.counter0 = b.counter0 = 0;
    CHECK(std::memcmp(&a, &b, sizeof(a)) == 0);
  }
  CHECK(one->fingerprint == three->fingerprint);
}

TEST(fingerprints_know_dtypes_and_instruction_sets) {
  const Graph g = device_plans::large();
  const auto weights = nets::random_weights(g);
  std::vector<uint64_t> all;
  for (const char* dtype : device_plans::kDtypes) {
    for (const char* isa : {"shim", "shim-plain"}) {
      all.push_back(device_plans::plan_of(g, weights, dtype, isa, 1)->fingerprint);
    }
  }
  CompileOptions cpu;
  all.push_back(nets::must(Plan::compile(g, weights, cpu))->fingerprint);
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST(numbers_round_as_a_device_rounds) {
  CHECK_EQ(f16_of(1.0f), 0x3c00);
  CHECK_EQ(f16_of(-2.0f), 0xc000);
  CHECK_EQ(f16_of(65504.0f), 0x7bff);
  CHECK_EQ(f16_of(65519.0f), 0x7bff);
  CHECK_EQ(f16_of(65520.0f), 0x7c00);
  CHECK_EQ(f16_of(1e30f), 0x7c00);
  CHECK_EQ(f16_of(std::ldexp(1.0f, -24)), 1);
  CHECK_EQ(f16_of(std::ldexp(1.0f, -25)), 0);  // half of the least: to even
  CHECK_EQ(f16_of(std::ldexp(1.5f, -25)), 1);
  CHECK_EQ(f16_of(std::ldexp(1.5f, -24)), 2);
  CHECK_EQ(f16_of(std::ldexp(2047.0f, -25)), 0x400);  // rounds up to the least normal one
  CHECK_EQ(f16_of(1.0f + std::ldexp(1.0f, -11)), 0x3c00);
  CHECK_EQ(f16_of(1.0f + std::ldexp(3.0f, -11)), 0x3c02);
  CHECK_EQ(tf32_of(1.0f + std::ldexp(1.0f, -11)), 0x3f802000u);  // ties away from zero
  CHECK(is_finite(f16_of(-65504.0f), PV_F16) && !is_finite(f16_of(-1e6f), PV_F16));
  CHECK(is_finite(pvnet::bf16_bits(3e38f), PV_BF16) &&
        !is_finite(pvnet::bf16_bits(3.4e38f), PV_BF16));
}

TEST(what_does_not_fit_is_refused) {
  const Graph g = device_plans::large();
  pvnet::Weights weights = nets::random_weights(g);
  CompileOptions o;
  o.backend = "cuda", o.isa = "shim", o.dtype = "f16";
  weights.at("a.weight").data[5] = 1e6f;
  const auto large = Plan::compile(g, weights, o);
  CHECK(large.status().code() == Code::invalid_argument);
  CHECK(large.status().message().find("node 'a' does not fit f16: got") != std::string::npos);
  o.dtype = "fp16";  // another name of f16
  weights.at("a.weight").data[5] = 1.0f;
  CHECK_EQ(nets::must(Plan::compile(g, weights, o))->options.dtype, "f16");
  o.dtype = "int8";
  CHECK(Plan::compile(g, weights, o).status().code() == Code::unsupported);
  // 32,768 tiles of 1,024 videos.
  const Graph wide = nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":1,"height":512,"width":4096}})",
          R"({"op":"conv3d","name":"y","inputs":["x"],"attrs":{"out":4}})",
      },
      "y");
  o.dtype = "f32", o.batch = 1024;
  const auto many = Plan::compile(wide, nets::random_weights(wide), o);
  CHECK(many.status().code() == Code::graph);
  CHECK(many.status().message().find("too many tiles for a device: got ") != std::string::npos);
}

// PVNET_GRAPHS names files of graphs in JSON, of models perhaps.
TEST(graphs_of_files_are_proved) {
  const char* const files = std::getenv("PVNET_GRAPHS");
  std::istringstream names(files == nullptr ? "" : files);
  for (std::string name; names >> name;) {
    std::ifstream file(name);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const Graph g = nets::must(Graph::from_json(text));
    for (const char* dtype : device_plans::kDtypes) {
      const auto plan = device_plans::plan_of(g, nets::random_weights(g), dtype, "shim", 1);
      prove_all(*plan, name);
      const Kinds k = kinds_of(*plan);
      std::printf("  %s %s: %zu ops, cores %d, split %d, folded %d, plain %d, weights %.1f MB\n",
                  name.c_str(), dtype, plan->device->ops.size(), k.cores, k.split, k.folded,
                  k.plain_conv, 1e-6 * static_cast<double>(plan->device->weight_bytes));
    }
  }
}
