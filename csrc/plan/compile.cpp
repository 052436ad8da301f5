// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <new>

#include "backends/registry.hpp"
#include "graph/analysis.hpp"
#include "graph/errors.hpp"
#include "host/heap.hpp"
#include "model/weight_source.hpp"
#include "plan/executor.hpp"
#include "plan/fingerprint.hpp"
#include "plan/layout.hpp"
#include "plan/level.hpp"
#include "plan/lower.hpp"
#include "plan/options.hpp"
#include "plan/pack.hpp"
#include "plan/proof/proof.hpp"
#include "plan/quantization.hpp"
#include "plan/schedule.hpp"
#include "plan/scratch.hpp"

#include "plan/plan.hpp"

namespace pvnet {
namespace {

Status check_options(const CompileOptions& o) {
  const auto range = [](const char* what, int got, int lo, int hi, const char* cure) -> Status {
    return {Code::invalid_argument, std::string("[compile] ") + what + " is out of range: got " +
                                        std::to_string(got) + ", expected " + std::to_string(lo) +
                                        " to " + std::to_string(hi) + ". " + cure + "."};
  };
  if (o.lanes < 0 || o.lanes > kMaxLanes) {
    return range("lanes", o.lanes, 0, kMaxLanes, "Pass 0 for one lane per CPU");
  }
  if (o.batch < 1 || o.batch > kMaxBatch) {
    return range("batch", o.batch, 1, kMaxBatch, "Pass the number of videos that run side by side");
  }
  return {};
}

template <size_t N>
std::string quoted_names(const std::array<std::string_view, N>& names) {
  std::string all;
  for (const std::string_view name : names) {
    all.append(all.empty() ? "\"" : ", \"").append(name).append("\"");
  }
  return all;
}

Status check_executor(const Backend& backend, const std::string& executor) {
  if (!executor_of(executor).has_value()) {
    return failed(Code::invalid_argument, "compile", "there is no such executor",
                  "\"" + executor + "\"", quoted_names(kExecutorNames),
                  "Take \"auto\" for the quickest.");
  }
  if (executor == kExecutorNames[0] || backend.name == std::string_view("cuda")) return {};
  return failed(Code::invalid_argument, "compile",
                "backend \"" + std::string(backend.name) + "\" has no executors",
                "\"" + executor + "\"", "\"auto\"", "Leave executor out.");
}

Status check_algorithm(const Backend& backend, const CompileOptions& o) {
  const auto wish = algorithm_of(o.algorithm);
  if (!wish.has_value()) {
    return failed(Code::invalid_argument, "compile", "there is no such algorithm",
                  "\"" + o.algorithm + "\"", quoted_names(kAlgorithmNames),
                  "Take \"auto\" for the quickest of every layer.");
  }
  if (std::find(kMemoryNames.begin(), kMemoryNames.end(), o.memory) == kMemoryNames.end()) {
    return failed(Code::invalid_argument, "compile", "there is no such use of memory",
                  "\"" + o.memory + "\"", quoted_names(kMemoryNames),
                  "Take \"small\" for small weights.");
  }
  if (wish != AlgorithmWish::winograd) return {};
  if (backend.name != std::string_view("cpu")) {
    return failed(Code::invalid_argument, "compile",
                  "backend \"" + std::string(backend.name) + "\" has no such algorithm",
                  "\"" + o.algorithm + "\"", "\"auto\" or \"direct\"", "Leave algorithm out.");
  }
  if (wish_of(o).has_value()) return {};
  return failed(Code::invalid_argument, "compile", "the algorithm needs large weights",
                "\"winograd\" with memory \"small\"", "one of the two",
                "Leave algorithm or memory out.");
}

Status check_algorithms(const Graph& graph, const Backend& backend, const CompileOptions& o) {
  for (const auto& [name, algorithm] : o.algorithms) {
    const int node = graph.find(name);
    if (node < 0 || graph.nodes()[static_cast<size_t>(node)].op != Op::conv3d) {
      return failed(Code::invalid_argument, "compile", "algorithm of a node that is no convolution",
                    quoted(name), "the name of a conv3d of the graph", "Correct the name.");
    }
    const auto known = conv_algorithm_of(algorithm);
    if (!known.has_value()) {
      return failed(Code::invalid_argument, "compile",
                    "there is no algorithm for node " + quoted(name), "\"" + algorithm + "\"",
                    R"("direct", "winograd 2x2", "winograd 4x4")",
                    "Take one that Plan.ops lists for it.");
    }
    if (known == ConvAlgorithm::direct) continue;
    if (backend.name == std::string_view("cpu") && o.memory != kMemoryNames[1]) continue;
    return failed(Code::invalid_argument, "compile",
                  "the algorithm of node " + quoted(name) + " is not for these options",
                  "\"" + algorithm + "\" with backend \"" + std::string(backend.name) +
                      "\" and memory \"" + o.memory + "\"",
                  "backend \"cpu\" and memory \"fast\"", "Leave it out, or take \"direct\".");
  }
  return {};
}

Status check_dtype(const Backend& backend, std::string& dtype) {
  if (dtype == "fp16") dtype = to_string(Dtype::f16);
  std::string known;
  for (const Dtype d : backend.layout.dtypes) {
    if (to_string(d) == dtype) return {};
    known.append(known.empty() ? "\"" : ", \"").append(to_string(d)).append("\"");
  }
  return failed(Code::unsupported, "compile",
                "dtype is not available on " + std::string(backend.name), "\"" + dtype + "\"",
                known, "Compile with dtype=" + known + ".");
}

// Lanes that were asked for are given; else as many as this machine has CPUs for and this plan has
// work for.
Status choose_lanes_and_schedule(Plan& plan) {
  note_reading(plan);
  const bool choose = plan.options.lanes == 0;
  if (choose)
    plan.options.lanes = useful_lanes(plan, std::min(plan.backend->layout.most_lanes(), kMaxLanes));
  PVNET_TRY(make_schedule(plan));
  for (int used; choose && (used = lanes_with_work(plan)) < plan.options.lanes;) {
    plan.options.lanes = used;
    PVNET_TRY(make_schedule(plan));
  }
  return {};
}

Status build(Plan& plan, const WeightSource& weights) {
  PVNET_TRY(check_options(plan.options));
  PVNET_TRY(plan.graph.check());
  PVNET_TRY(check_weights(plan.graph, weights));
  auto backend = find_backend(plan.options.backend, plan.options.isa, plan.options.dtype);
  if (!backend.ok()) return backend.status();
  plan.backend = backend.value();
  PVNET_TRY(check_dtype(*plan.backend, plan.options.dtype));
  PVNET_TRY(check_executor(*plan.backend, plan.options.executor));
  PVNET_TRY(check_algorithm(*plan.backend, plan.options));
  PVNET_TRY(check_algorithms(plan.graph, *plan.backend, plan.options));
  PVNET_TRY(check_ranges(plan.graph, plan.options));
  plan.options.backend = plan.backend->name;
  plan.options.isa = plan.backend->isa;

  plan.hyper_period = plan.graph.hyper_period();
  auto analysis = analyse(plan.graph);
  if (!analysis.ok()) return analysis.status();
  plan.settle_ticks = analysis.value().settle_ticks;
  PVNET_TRY(lower(plan));
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    auto& facts = analysis.value().outputs[i];
    plan.outputs[i].information_latency_ticks = facts.information_latency_ticks;
    plan.outputs[i].warm_up_ticks = facts.warm_up_ticks;
    plan.outputs[i].receptive_field_frames = facts.receptive_field_frames;
    plan.outputs[i].age_ticks = std::move(facts.age_ticks);
  }
  PVNET_TRY(lay_out(plan));
  PVNET_TRY(choose_lanes_and_schedule(plan));
  if (plan.backend->kernels != nullptr) share_scratch(plan);
  PVNET_TRY(check_stream_bytes(plan));
  PVNET_TRY(proof::prove(plan));
  PVNET_TRY(pack_weights(plan, weights));
  PVNET_TRY(proof::prove_packed(plan, &weights));
  plan.fingerprint = fingerprint_of(plan);
  return {};
}

}  // namespace

Result<std::shared_ptr<const Plan>> Plan::compile(const Graph& graph, const Weights& weights,
                                                  const CompileOptions& options) {
  return compile(graph, WholeWeights(weights), options);
}

Result<std::shared_ptr<const Plan>> Plan::compile(const Graph& graph, const WeightSource& weights,
                                                  const CompileOptions& options) {
  try {
    auto plan = std::make_shared<Plan>();
    plan->graph = graph;
    plan->options = options;
    PVNET_TRY(build(*plan, weights));
    trim_heap();  // weights of nodes came and went
    return std::shared_ptr<const Plan>(std::move(plan));
  } catch (const std::bad_alloc&) {
    return Status{
        Code::out_of_memory,
        "[compile] the network does not fit the memory of this machine: got an allocation "
        "failure, expected room for weights. Use a smaller width, size or batch."};
  }
}

}  // namespace pvnet
