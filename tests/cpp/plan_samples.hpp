// SPDX-License-Identifier: Apache-2.0
// Plans to damage, one copy at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plan/plan.hpp"

#include "nets.hpp"
#include "plan_fields.hpp"
#include "plan_repairs.hpp"

namespace samples {

using pvnet::Graph;
using pvnet::Plan;

inline std::shared_ptr<const Plan> plan_of(const Graph& g, int lanes, const char* backend = "cpu",
                                           const char* dtype = "f32") {
  pvnet::CompileOptions o;
  o.backend = backend;
  o.dtype = dtype;
  if (o.dtype == "int8") o.ranges = nets::some_ranges(g);
  o.lanes = lanes;
  o.costs = nets::heavy(g);
  return nets::must(Plan::compile(g, nets::random_weights(g), o));
}

// Two operands that may be exchanged, two convolutions of one shape, a window of firings.
inline Graph twins() {
  return nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":8,"width":6,"mean":[1,2,3],"std":[1,2,4]}})",
          R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":12,"kernel":[2,3,3],"padding":[1,1],"dilation":[2,1,1]}})",
          R"({"op":"conv3d","name":"b","inputs":["x"],"attrs":{"out":12,"kernel":[2,3,3],"padding":[1,1],"dilation":[2,1,1]}})",
          R"({"op":"delay","name":"late","inputs":["a"],"attrs":{"ticks":2}})",
          R"({"op":"mul","name":"ab","inputs":["late","b"]})",
          R"({"op":"normalize","name":"n","inputs":["ab"],"attrs":{"mean":[0,1,2,3,4,5,6,7,8,9,10,11],"std":[1,2,3,4,5,6,7,8,9,10,11,12]}})",
          R"({"op":"concat","name":"c","inputs":["n","late","b"]})",
          R"({"op":"max_pool","name":"p","inputs":["c"],"attrs":{"kernel":[2,2,2],"stride":[2,2,2]}})",
          R"({"op":"conv3d","name":"d","inputs":["c"],"attrs":{"out":4,"kernel":[1,3,3],"padding":[1,1]}})",
          R"({"op":"global_pool","name":"g","inputs":["p"],"attrs":{"window":3}})",
          R"({"op":"linear","name":"l","inputs":["g"],"attrs":{"out":5}})",
          R"({"op":"act","name":"s","inputs":["l"],"attrs":{"act":"softmax"}})",
      },
      "s");
}

// Moves of values, and norms, of what comes from two segments.
inline Graph moves() {
  return nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":6,"width":6}})",
          R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":8,"kernel":[1,3,3],"padding":[1,1]}})",
          R"({"op":"conv3d","name":"b","inputs":["x"],"attrs":{"out":4}})",
          R"({"op":"concat","name":"c","inputs":["a","b"]})",
          R"({"op":"group_norm","name":"gn","inputs":["c"],"attrs":{"groups":3,"act":"relu"}})",
          R"({"op":"channel_select","name":"cs","inputs":["gn"],"attrs":{"index":[4,5,6,7,1,0]}})",
          R"({"op":"pad","name":"p","inputs":["cs"],"attrs":{"padding":[1,0],"padding_end":[-1,2],"value":0.5}})",
          R"({"op":"space_to_depth","name":"sd","inputs":["p"],"attrs":{"block":2}})",
          R"({"op":"layer_norm","name":"ln","inputs":["sd"]})",
          R"({"op":"depth_to_space","name":"ds","inputs":["ln"],"attrs":{"block":2}})",
          R"({"op":"upsample","name":"u","inputs":["ds"],"attrs":{"size":[9,7],"mode":"bilinear","align_corners":true}})",
      },
      "u");
}

inline const std::vector<std::shared_ptr<const Plan>>& plans() {
  static const auto all = [] {
    std::vector<std::shared_ptr<const Plan>> out;
    for (const Graph& g : {nets::mixed(), twins(), moves()}) {
      for (const int lanes : {1, 3}) {
        out.push_back(plan_of(nets::must(g.wire(pvnet::Wiring::sequential, 1)), lanes));
        out.push_back(plan_of(nets::must(g.wire(pvnet::Wiring::predictive, 3)), lanes, "ref"));
        if (lanes == 3) continue;
        for (const char* backend : {"cpu", "ref"}) {
          for (const char* dtype : {"bf16", "int8"}) {
            out.push_back(
                plan_of(nets::must(g.wire(pvnet::Wiring::predictive, 3)), lanes, backend, dtype));
          }
        }
      }
    }
    return out;
  }();
  return all;
}

// Changes a copy; false where this kind of damage cannot be. Anything that was changed is refused.
inline int tried_damage = 0;
inline bool refused(const Plan& plan, const std::function<bool(Plan&)>& change) {
  Plan c;
  fields::copy(plan, c);
  if (!change(c)) return true;
  ++tried_damage;
  pvnet::Status status = pvnet::validate(c);
  if (status.message().find("fingerprint") != std::string::npos) {  // all else seemed right
    mutants::repair_fingerprint(c);
    status = pvnet::validate(c);
  }
  return !status.ok();
}

}  // namespace samples
