// SPDX-License-Identifier: Apache-2.0
// A network from a fuzzer's bytes, in the grammar of graph documents: every operation, any input,
// attributes from one to absurd. Most are refused, node by node; the rest must run.
#pragma once

#include <array>
#include <vector>

#include "graph/graph.hpp"
#include "model/model_file.hpp"
#include "runtime/stream.hpp"
#include "runtime/test_hooks.hpp"

#include "bytes.hpp"

namespace fuzz {

inline std::string list_of(Bytes& in, int n, int64_t bias) {
  std::string s = "[";
  for (int i = 0; i < n; ++i) {
    s += (i == 0 ? "" : ",") + std::to_string(in.chance(60) ? bias : in.number());
  }
  return s + "]";
}

inline std::string attr(const char* key, const std::string& value) {
  return std::string("\"") + key + "\":" + value + ",";
}

inline std::string attrs_of(Bytes& in, const std::string& op) {
  std::string a;
  const auto number = [&](const char* key, int64_t usual) {
    a += attr(key, std::to_string(in.chance(60) ? usual : in.number()));
  };
  static const char* const kActs[] = {"relu", "silu", "sigmoid", "none", "softmax", "clamp"};
  if (op == "input") {
    number("channels", 2), number("height", 4), number("width", 5);
  } else if (op == "conv3d") {
    number("out", 3);
    a += attr("kernel", list_of(in, 3, 1)) + attr("stride", list_of(in, 3, 1));
    a += attr("padding", list_of(in, 2, 0)) + attr("dilation", list_of(in, 3, 1));
    if (in.chance(20)) a += attr("padding_end", list_of(in, 2, 1));
    if (in.chance(20)) number("groups", 1);
    if (in.chance(30)) a += attr("norm", "true");
    if (in.chance(30)) a += attr("act", std::string("\"") + in.one_of(kActs) + "\"");
  } else if (op == "max_pool" || op == "avg_pool") {
    a += attr("kernel", list_of(in, 3, 2)) + attr("stride", list_of(in, 3, 1));
    if (in.chance(30)) a += attr("padding", list_of(in, 2, 0));
    if (in.chance(20)) a += attr("padding_end", list_of(in, 2, 1));
  } else if (op == "global_pool") {
    number("window", 1);
  } else if (op == "upsample") {
    a += attr("size", list_of(in, 2, 8)) +
         attr("mode", in.chance(50) ? "\"bilinear\"" : "\"nearest\"");
  } else if (op == "linear") {
    number("out", 3);
  } else if (op == "act") {
    a += attr("act", std::string("\"") + in.one_of(kActs) + "\"");
  } else if (op == "delay") {
    number("ticks", 1);
  } else if (op == "feedback") {
    number("ticks", 1), number("channels", 3), number("height", 4), number("width", 5);
  }
  if (in.chance(5)) number("act_low", 0);
  if (in.chance(5)) number("phase", 0);
  if (!a.empty()) a.pop_back();
  return a;
}

inline pvnet::Graph graph_of(Bytes& in) {
  static const char* const kOps[] = {"conv3d",   "conv3d", "concat",   "add",    "delay",
                                     "max_pool", "mul",    "avg_pool", "linear", "global_pool",
                                     "upsample", "act",    "feedback", "input",  "normalize"};
  pvnet::Graph graph;
  std::vector<std::string> names;
  const auto add = [&](const std::string& op, const std::string& inputs) {
    const std::string name = "n" + std::to_string(names.size());
    const auto r = graph.add("{\"op\":\"" + op + "\",\"name\":\"" + name + "\",\"inputs\":[" +
                             inputs + "],\"attrs\":{" + attrs_of(in, op) + "}}");
    if (r.ok()) names.push_back(name);
  };
  add("input", "");
  for (int tries = 0; in.more() && tries < 40; ++tries) {
    const std::string op = in.one_of(kOps);
    std::string inputs;
    const size_t n = op == "input"                                  ? 0
                     : op == "concat" || op == "add" || op == "mul" ? 1 + in.below(4)
                                                                    : 1;
    for (size_t i = 0; i < n; ++i) {
      // Often the newest: chains and concats of themselves grow deep.
      const size_t back = in.chance(60) ? 0 : in.below(names.size());
      const std::string from = names.empty() ? "n0" : names[names.size() - 1 - back];
      const std::string later = "n" + std::to_string(names.size() + 1 + in.below(3));
      inputs += (i == 0 ? "\"" : ",\"") + (op == "feedback" ? later : from) + "\"";
    }
    add(op, inputs);
  }
  const size_t outputs = 1 + in.below(2);
  for (size_t i = 0; i < outputs && !names.empty(); ++i) {
    const pvnet::Status s =
        graph.set_output("o" + std::to_string(i), names[names.size() - 1 - in.below(names.size())]);
    (void)s;
  }
  const auto wiring = static_cast<pvnet::Wiring>(in.below(3));
  auto wired = graph.wire(wiring, static_cast<int>(1 + in.below(4)));
  return wired.ok() ? std::move(wired).value() : graph;
}

// Compiles and ticks what is small enough to be worth it; whatever is accepted must run.
inline void run(const pvnet::Graph& graph, Bytes& in) {
  if (!graph.check().ok()) return;
  (void)graph.resolved_json();
  pvnet::Weights weights;
  uint64_t total = 0;
  for (const auto& [name, shape] : pvnet::expected_weights(graph)) {
    uint64_t n = 1;
    for (const int64_t s : shape) {
      if (s < 0 || __builtin_mul_overflow(n, static_cast<uint64_t>(s), &n)) return;
    }
    total += n;
    if (n > (1u << 20) || total > (1u << 21)) return;
    weights[name].shape = shape;
    weights[name].data.assign(n, 0.01f);
  }
  pvnet::CompileOptions options;
  options.backend = in.chance(50) ? "ref" : "cpu";
  if (options.backend == "cpu" && in.chance(70)) options.isa = "scalar";
  options.lanes = 1 + static_cast<int>(in.below(2));
  options.batch = 1 + static_cast<int>(in.below(3));
  auto compiled = pvnet::Plan::compile(graph, weights, options);
  if (!compiled.ok()) {
    // A plan that does not prove itself is a bug of pvnet, whatever it was made of.
    if (compiled.status().code() == pvnet::Code::internal) die(compiled.status().message());
    return;
  }
  const auto plan = std::move(compiled).value();
  uint64_t work = 0;
  for (const pvnet::Node& node : graph.nodes()) work += static_cast<uint64_t>(node.macs) + 1;
  const int64_t floats = (plan->state_bytes + plan->scratch_bytes) / 4;
  if (floats < 0) die("negative state");
  if (floats > (1 << 22) || work > 20'000'000) return;
  auto created = pvnet::StreamCore::create(plan);
  if (!created.ok()) return;
  pvnet::StreamCore& stream = *created.value();
  std::vector<std::vector<float>> pixels;
  std::vector<pvnet::FrameView> frames;
  for (const int v : plan->input_values) {
    const pvnet::Shape s = plan->values[static_cast<size_t>(v)].shape;
    pixels.emplace_back(static_cast<size_t>(s.c) * s.h * s.w, 0.5f);
    pvnet::FrameView f;
    f.data = pixels.back().data();
    f.c = s.c, f.h = s.h, f.w = s.w;
    f.strides[0] = int64_t{s.h} * s.w, f.strides[1] = s.w, f.strides[2] = 1;
    for (int r = 0; r < options.batch; ++r) frames.push_back(f);
  }
  for (int tick = 0; tick < 4; ++tick) {
    std::vector<uint8_t> rows;
    for (int r = 0; r < options.batch; ++r) rows.push_back(!in.chance(20));
    pvnet::StreamHooks::poison_unwritten(stream);
    if (!stream.tick(frames.data(), rows.data()).ok()) die("a good frame is refused");
    for (size_t o = 0; o < plan->outputs.size(); ++o) {
      const pvnet::Shape s = plan->outputs[o].shape;
      std::vector<float> y(static_cast<size_t>(s.c) * s.h * s.w);
      if (!stream.read_output(static_cast<int>(o), 0, y.data()).ok()) die("an output is refused");
    }
  }
}

}  // namespace fuzz
