// SPDX-License-Identifier: Apache-2.0
// Plans for a device, of random networks and of some that meet every kernel.
#pragma once

#include <memory>
#include <string>

#include "plan/device/program.hpp"
#include "plan/plan.hpp"

#include "nets.hpp"
#include "random_nets.hpp"

namespace device_plans {

using pvnet::Graph;
using pvnet::Plan;
using pvnet::device::Gather;

inline constexpr Gather kGathers[] = {Gather::op, Gather::group, Gather::wave, Gather::packed};
inline constexpr const char* kDtypes[] = {"f32", "tf32", "f16", "bf16"};

inline std::shared_ptr<const Plan> plan_of(const Graph& g, const pvnet::Weights& weights,
                                           const std::string& dtype, const char* isa, int batch) {
  pvnet::CompileOptions o;
  o.backend = "cuda", o.isa = isa, o.dtype = dtype, o.batch = batch;
  return nets::must(Plan::compile(g, weights, o));
}

inline Graph random_graph(uint32_t seed) {
  return nets::RandomNet(seed).make_wired(4 + static_cast<int>(seed % 9));
}
inline std::shared_ptr<const Plan> random_plan(uint32_t seed) {
  const Graph g = random_graph(seed);
  return plan_of(g, nets::random_weights(g, seed), kDtypes[seed % 4],
                 seed % 5 == 4 ? "shim-plain" : "shim", 1 + static_cast<int>(seed / 4 % 3));
}

// A stem of three channels, a wide and long convolution that is split, groups of channels on
// tensor cores, groups that are too narrow for them, a linear layer over a map.
inline Graph large(int classes = 70) {
  const std::string out = std::to_string(classes);
  return nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":20,"width":18}})",
          R"({"op":"conv3d","name":"stem","inputs":["x"],"attrs":{"out":24,"kernel":[3,7,7],"stride":[1,2,2],"padding":[3,3],"norm":true,"act":"relu"}})",
          R"({"op":"conv3d","name":"a","inputs":["stem"],"attrs":{"out":96,"kernel":[1,1,1],"act":"silu"}})",
          R"({"op":"conv3d","name":"b","inputs":["a"],"attrs":{"out":64,"kernel":[3,3,3],"stride":[2,1,1],"padding":[1,1],"groups":2,"act":"relu"}})",
          R"({"op":"conv3d","name":"c","inputs":["b"],"attrs":{"out":64,"kernel":[1,3,3],"padding":[1,1],"groups":64}})",
          R"({"op":"conv3d","name":"d","inputs":["c"],"attrs":{"out":32,"kernel":[1,1,1],"groups":16}})",
          R"({"op":"concat","name":"abd","inputs":["a","b","d"]})",
          R"({"op":"conv3d","name":"e","inputs":["abd"],"attrs":{"out":40,"kernel":[3,3,3],"padding":[1,1],"dilation":[1,2,1],"stride":[1,2,2]}})",
          R"({"op":"max_pool","name":"p","inputs":["e"],"attrs":{"kernel":[2,2,2],"stride":[2,1,1]}})",
          R"({"op":"linear","name":"l","inputs":["p"],"attrs":{"out":)" + out + "}}",
          R"({"op":"act","name":"s","inputs":["l"],"attrs":{"act":"softmax"}})",
      },
      "s");
}

}  // namespace device_plans
