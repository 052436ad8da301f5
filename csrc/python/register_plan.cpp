// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "plan/plan.hpp"

#include "backends/backend.hpp"
#include "backends/cuda/device.hpp"
#include "backends/kernel_api.hpp"
#include "backends/registry.hpp"
#include "host/core_distance.hpp"
#include "host/cpu_quota.hpp"
#include "host/cpus.hpp"
#include "model/corrections.hpp"
#include "model/open_model.hpp"
#include "plan/executor.hpp"
#include "plan/op_params.hpp"
#include "python/gil.hpp"
#include "python/register.hpp"
#include "python/weights.hpp"

namespace pvnet::python {

namespace py = pybind11;

namespace {

std::shared_ptr<Plan> compile(const Graph& graph, const py::object& weights,
                              const CompileOptions& options, const Corrections& corrections) {
  std::optional<DictWeights> arrays;
  const bool open = py::isinstance<OpenModel>(weights);
  if (!open) arrays.emplace(weights.cast<py::dict>(), "compile");
  const WeightSource& source =
      open ? static_cast<const WeightSource&>(weights.cast<const OpenModel&>()) : *arrays;
  auto plan = [&]() -> Result<std::shared_ptr<const Plan>> {
    const GilReleased release;
    if (corrections.empty()) return Plan::compile(graph, source, options);
    PVNET_TRY(check_corrections(graph, corrections));
    return Plan::compile(graph, CorrectedWeights(source, graph, corrections), options);
  }();
  // pybind11 holds what it registers without const; nothing that is bound below changes a plan.
  return std::const_pointer_cast<Plan>(unwrap(std::move(plan)));
}

py::list possible_algorithms(const Plan& plan, const ConvShape& shape) {
  py::list out;
  for (const auto a : {ConvAlgorithm::direct, ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
    const bool small = plan.options.memory == "small" && a != ConvAlgorithm::direct;
    if (!small && is_possible(plan.backend->kernels, shape, a)) out.append(to_string(a));
  }
  return out;
}

py::list ops_of(const Plan& plan) {
  py::list out;
  for (const PlanOp& op : plan.ops) {
    const Node& node = plan.graph.nodes()[op.node];
    py::dict d;
    d["node"] = node.name;
    if (op.sum >= 0) d["sum"] = plan.graph.nodes()[op.sum].name;
    d["op"] = to_string(op.params->op);
    d["dtype"] = to_string(plan.values[op.out_value].dtype);
    d["stage"] = op.stage;
    const ConvAlgorithm algorithm = op.params->conv.algorithm;
    if (algorithm == ConvAlgorithm::int8) {
      d["algorithm"] = to_string(algorithm);
    } else if (op.params->op == Op::conv3d) {
      d["algorithm"] = to_string(algorithm);
      d["algorithms"] = possible_algorithms(plan, op.params->conv);
    }
    d["tiles"] = op.tiles;
    d["cost"] = op.cost;
    d["macs"] = node.macs;
    d["period"] = op.clock.period;
    out.append(d);
  }
  return out;
}

// Estimated cost of every lane in every tick of the hyper-period.
std::vector<std::vector<double>> lane_load(const Plan& plan) {
  std::vector<std::vector<double>> out;
  for (const TickSchedule& tick : plan.schedule) {
    std::vector<double> load(static_cast<size_t>(plan.options.lanes), 0.0);
    for (const Superstep& superstep : tick.supersteps) {
      for (size_t lane = 0; lane < superstep.lanes.size(); ++lane) {
        for (const TileRange& r : superstep.lanes[lane]) {
          load[lane] += plan.ops[r.op].cost * (r.hi - r.lo) / plan.ops[r.op].tiles;
        }
      }
    }
    out.push_back(std::move(load));
  }
  return out;
}

py::list outputs_of(const Plan& plan) {
  py::list out;
  for (const OutputFacts& o : plan.outputs) {
    py::dict d;
    d["name"] = o.name;
    d["shape"] = py::make_tuple(o.shape.c, o.shape.h, o.shape.w);
    d["information_latency_ticks"] = o.information_latency_ticks;
    d["warm_up_ticks"] = o.warm_up_ticks;
    d["age_ticks"] = o.age_ticks;
    out.append(d);
  }
  return out;
}

py::list inputs_of(const Plan& plan) {
  py::list out;
  for (const int v : plan.input_values) {
    const Value& value = plan.values[v];
    out.append(py::make_tuple(plan.graph.nodes()[value.node].name,
                              py::make_tuple(value.shape.c, value.shape.h, value.shape.w)));
  }
  return out;
}

// The best of several short rounds: a shared machine only ever makes them slower.
double fma_peak_gflops(const std::string& isa) {
  const HostKernels* kernels = unwrap(find_backend("cpu", isa))->kernels;
  const GilReleased release;
  double best = 0;
  for (int i = 0; i < 8; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const double flops = kernels->fma_block(200'000);
    const std::chrono::duration<double> s = std::chrono::steady_clock::now() - begin;
    best = std::max(best, flops / s.count() * 1e-9);
  }
  return best;
}

}  // namespace

void register_plan(py::module_& m) {
  m.attr("ALGORITHMS") = py::tuple(py::cast(kAlgorithmNames));
  m.attr("EXECUTORS") = py::tuple(py::cast(kExecutorNames));
  py::class_<Plan, std::shared_ptr<Plan>>(m, "Plan")
      .def_static(
          "compile",
          [](const Graph& graph, const py::object& weights, const std::string& backend,
             const std::string& isa, const std::string& dtype, int lanes, int batch, bool pin,
             bool fixed_lanes, const std::map<std::string, double>& costs,
             const std::string& executor, const std::string& algorithm, const std::string& memory,
             const std::map<std::string, std::string>& algorithms,
             const std::map<std::string, std::pair<float, float>>& ranges,
             const std::map<std::string, std::vector<float>>& corrections) {
            std::map<std::string, ValueRange> of_nodes;
            for (const auto& [node, range] : ranges) of_nodes[node] = {range.first, range.second};
            return compile(graph, weights,
                           {backend, isa, dtype, lanes, batch, pin, fixed_lanes, costs, executor,
                            algorithm, algorithms, memory, of_nodes},
                           {corrections.begin(), corrections.end()});
          },
          py::arg("graph"), py::arg("weights"), py::kw_only(), py::arg("backend"), py::arg("isa"),
          py::arg("dtype"), py::arg("lanes"), py::arg("batch"), py::arg("pin"),
          py::arg("fixed_lanes"), py::arg("costs"), py::arg("executor") = "auto",
          py::arg("algorithm") = "auto", py::arg("memory") = "fast",
          py::arg("algorithms") = std::map<std::string, std::string>{},
          py::arg("ranges") = std::map<std::string, std::pair<float, float>>{},
          py::arg("corrections") = std::map<std::string, std::vector<float>>{})
      .def("to_json", &Plan::to_json)
      .def("ops", &ops_of)
      .def("inputs", &inputs_of)
      .def("outputs", &outputs_of)
      .def("lane_load", &lane_load)
      .def_property_readonly("backend", [](const Plan& p) { return p.options.backend; })
      .def_property_readonly("isa", [](const Plan& p) { return p.options.isa; })
      .def_property_readonly("dtype", [](const Plan& p) { return p.options.dtype; })
      .def_property_readonly("executor", [](const Plan& p) { return p.options.executor; })
      .def_property_readonly("algorithm", [](const Plan& p) { return p.options.algorithm; })
      .def_property_readonly("memory", [](const Plan& p) { return p.options.memory; })
      .def_property_readonly("lanes", [](const Plan& p) { return p.options.lanes; })
      .def_property_readonly("batch", [](const Plan& p) { return p.options.batch; })
      .def_readonly("hyper_period", &Plan::hyper_period)
      .def_readonly("settle_ticks", &Plan::settle_ticks)
      .def_readonly("fingerprint", &Plan::fingerprint)
      .def_property_readonly("state_bytes", [](const Plan& p) { return p.state_bytes; })
      .def_property_readonly("stream_bytes", &Plan::stream_bytes)
      .def_property_readonly("scratch_bytes", [](const Plan& p) { return p.scratch_bytes; })
      .def_property_readonly("weights_bytes",
                             [](const Plan& p) { return static_cast<int64_t>(p.packed.size()); });
  m.def("fma_peak_gflops", &fma_peak_gflops, py::arg("isa") = "",
        "Peak of one core in fused multiply-adds, GFLOP/s, for one instruction set.");
  m.def("core_to_core_ns", &core_to_core_ns, py::call_guard<GilReleased>(),
        "Nanoseconds from one CPU to another, negative where there is one only.");
  m.def("usable_cpus", &usable_cpus,
        "CPUs worth using: those of the process, at most its container's quota rounded down.");
  m.def("cpu_quota", &cpu_quota, py::arg("root") = "",
        "CPUs' worth of time that control groups allow, 0 = no limit; root is put before /proc.");
  m.def("seed_shim", &cuda::seed_shim, py::arg("seed"),
        "Tests only: the order in which isa \"shim\" runs what may run in any order.");
  m.def("shim_refusals", &cuda::shim_refusals,
        "Tests only: what isa \"shim\" refused since the last call of this.");
  m.def("describe_backends", &describe_backends, "JSON list of the backends of this build.");
}

}  // namespace pvnet::python
