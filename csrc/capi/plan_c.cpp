// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "capi/handles.hpp"
#include "model/corrections.hpp"
#include "model/ranges.hpp"

using pvnet::Result;
using pvnet::Status;
using namespace pvnet::capi;

// The caller's options in our version of the struct: members it does not know get their default,
// members we do not know must be unused.
static Status read_options(const pvnet_options* given, pvnet_options* options) {
  *options = pvnet_options_default();
  if (given == nullptr) return {};
  const size_t size = given->struct_size;
  PVNET_TRY(check_struct_size<pvnet_options>("pvnet_plan_compile", "options", size));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  const size_t known = std::min(size, sizeof(pvnet_options));
  const bool unused = std::all_of(bytes + known, bytes + size, [](auto b) { return b == 0; });
  std::memcpy(static_cast<void*>(options), given, known);
  if (!unused) {
    return refuse("pvnet_plan_compile", "options set a member this library does not know",
                  "a struct of " + std::to_string(size) + " bytes",
                  "zeros beyond " + std::to_string(sizeof(pvnet_options)),
                  "Update libpvnet to the version of your pvnet.h");
  }
  return {};
}

static Status to_compile_options(const pvnet_options* given, pvnet::CompileOptions* to) {
  pvnet_options o;
  PVNET_TRY(read_options(given, &o));
  if (o.backend != nullptr) to->backend = o.backend;
  if (o.isa != nullptr) to->isa = o.isa;
  if (o.dtype != nullptr) to->dtype = o.dtype;
  to->lanes = o.lanes;
  to->batch = o.batch == 0 ? 1 : o.batch;
  to->pin = o.pin != 0;
  to->fixed_lanes = o.fixed_lanes != 0;
  if (o.executor != nullptr) to->executor = o.executor;
  if (o.algorithm != nullptr) to->algorithm = o.algorithm;
  if (o.memory != nullptr) to->memory = o.memory;
  return {};
}

// dtype int8 takes the ranges that the file keeps.
static Status take_ranges(const pvnet::Metadata& metadata, pvnet::CompileOptions* to) {
  if (to->dtype != "int8") return {};
  auto ranges = pvnet::stored_ranges(metadata);
  if (!ranges.ok()) return ranges.status();
  for (const auto& [node, ends] : ranges.value()) to->ranges[node] = {ends.first, ends.second};
  return {};
}

// And the corrections of biases that belong to them.
static Status take_corrections(const pvnet::OpenModel& model, const pvnet::CompileOptions& options,
                               std::optional<pvnet::CorrectedWeights>* to) {
  if (options.dtype != "int8") return {};
  auto corrections = pvnet::stored_corrections(model.metadata());
  if (!corrections.ok()) return corrections.status();
  PVNET_TRY(pvnet::check_corrections(model.graph(), corrections.value()));
  if (!corrections.value().empty()) {
    to->emplace(model, model.graph(), std::move(corrections).value());
  }
  return {};
}

static void set_shape(const pvnet::Shape& shape, pvnet_value_info* info) {
  info->channels = shape.c;
  info->height = shape.h;
  info->width = shape.w;
}

extern "C" {

int pvnet_plan_compile(const pvnet_model* model, const pvnet_options* options, pvnet_plan** plan) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_plan_compile", "model", model));
    PVNET_TRY(need("pvnet_plan_compile", "plan", plan));
    pvnet::CompileOptions compile_options;
    PVNET_TRY(to_compile_options(options, &compile_options));
    PVNET_TRY(take_ranges(model->model.metadata(), &compile_options));
    std::optional<pvnet::CorrectedWeights> corrected;
    PVNET_TRY(take_corrections(model->model, compile_options, &corrected));
    const pvnet::WeightSource& weights =
        corrected ? static_cast<const pvnet::WeightSource&>(*corrected) : model->model;
    auto compiled = pvnet::Plan::compile(model->model.graph(), weights, compile_options);
    if (!compiled.ok()) return compiled.status();
    *plan = new pvnet_plan{std::move(compiled).value()};
    return {};
  });
}

void pvnet_plan_destroy(pvnet_plan* plan) { delete plan; }

int pvnet_plan_get_info(const pvnet_plan* plan, pvnet_plan_info* info) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_plan_get_info", "plan", plan));
    PVNET_TRY(need("pvnet_plan_get_info", "info", info));
    const pvnet::Plan& p = *plan->plan;
    pvnet_plan_info i{};
    i.backend = p.options.backend.c_str();
    i.isa = p.options.isa.c_str();
    i.dtype = p.options.dtype.c_str();
    i.inputs = static_cast<int32_t>(p.input_values.size());
    i.outputs = static_cast<int32_t>(p.outputs.size());
    i.stages = p.graph.n_stages();
    i.batch = p.options.batch;
    i.lanes = p.options.lanes;
    i.hyper_period_ticks = p.hyper_period;
    i.weights_bytes = static_cast<int64_t>(p.packed.size());
    i.state_bytes = p.state_bytes;
    i.scratch_bytes = p.scratch_bytes;
    return copy_known("pvnet_plan_get_info", i, info);
  });
}

int pvnet_plan_get_input(const pvnet_plan* plan, int index, pvnet_value_info* info) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_plan_get_input", "plan", plan));
    PVNET_TRY(need("pvnet_plan_get_input", "info", info));
    const pvnet::Plan& p = *plan->plan;
    PVNET_TRY(need_index("pvnet_plan_get_input", "index", index, p.input_values.size()));
    const pvnet::Value& value =
        p.values[static_cast<size_t>(p.input_values[static_cast<size_t>(index)])];
    pvnet_value_info i{};
    i.name = p.graph.nodes()[static_cast<size_t>(value.node)].name.c_str();
    set_shape(value.shape, &i);
    return copy_known("pvnet_plan_get_input", i, info);
  });
}

int pvnet_plan_get_output(const pvnet_plan* plan, int index, pvnet_value_info* info) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_plan_get_output", "plan", plan));
    PVNET_TRY(need("pvnet_plan_get_output", "info", info));
    const pvnet::Plan& p = *plan->plan;
    PVNET_TRY(need_index("pvnet_plan_get_output", "index", index, p.outputs.size()));
    const pvnet::OutputFacts& facts = p.outputs[static_cast<size_t>(index)];
    pvnet_value_info i{};
    i.name = facts.name.c_str();
    set_shape(facts.shape, &i);
    i.information_latency_ticks = facts.information_latency_ticks;
    i.warm_up_ticks = facts.warm_up_ticks;
    i.receptive_field_frames = facts.receptive_field_frames;
    return copy_known("pvnet_plan_get_output", i, info);
  });
}

int pvnet_plan_find_output(const pvnet_plan* plan, const char* name, int* index) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_plan_find_output", "plan", plan));
    PVNET_TRY(need("pvnet_plan_find_output", "name", name));
    PVNET_TRY(need("pvnet_plan_find_output", "index", index));
    std::string names;
    const auto& outputs = plan->plan->outputs;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].name == name) {
        *index = static_cast<int>(i);
        return {};
      }
      names += (i == 0 ? "" : ", ") + outputs[i].name;
    }
    return refuse("pvnet_plan_find_output", "no such output", "'" + std::string(name) + "'",
                  "one of " + names, "Use one of them, or save the model with that output");
  });
}

int pvnet_plan_describe(const pvnet_plan* plan, char* text, size_t capacity_bytes,
                        size_t* needed_bytes) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_plan_describe", "plan", plan));
    const Result<std::string> json = plan->plan->graph.resolved_json();
    if (!json.ok()) return json.status();
    return copy_text("pvnet_plan_describe", json.value(), text, capacity_bytes, needed_bytes);
  });
}

int pvnet_plan_json(const pvnet_plan* plan, char* text, size_t capacity_bytes,
                    size_t* needed_bytes) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_plan_json", "plan", plan));
    return copy_text("pvnet_plan_json", plan->plan->to_json(), text, capacity_bytes, needed_bytes);
  });
}

}  // extern "C"
