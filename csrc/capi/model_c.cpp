// SPDX-License-Identifier: Apache-2.0
#include "capi/handles.hpp"

using pvnet::Result;
using pvnet::Status;
using namespace pvnet::capi;

static Status hand_over(Result<pvnet::OpenModel> opened, pvnet_model** model) {
  if (!opened.ok()) return opened.status();
  *model = new pvnet_model{std::move(opened).value()};
  return {};
}

extern "C" {

int pvnet_model_load(const char* path, pvnet_model** model) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_model_load", "path", path));
    PVNET_TRY(need("pvnet_model_load", "model", model));
    return hand_over(pvnet::OpenModel::open(std::string(path)), model);
  });
}

int pvnet_model_load_memory(const void* bytes, size_t size_bytes, pvnet_model** model) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_model_load_memory", "bytes", bytes));
    PVNET_TRY(need("pvnet_model_load_memory", "model", model));
    return hand_over(pvnet::OpenModel::open(bytes, size_bytes, true), model);
  });
}

void pvnet_model_destroy(pvnet_model* model) { delete model; }

int pvnet_model_describe(const pvnet_model* model, char* text, size_t capacity_bytes,
                         size_t* needed_bytes) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_model_describe", "model", model));
    const Result<std::string> json = model->model.graph().resolved_json();
    if (!json.ok()) return json.status();
    return copy_text("pvnet_model_describe", json.value(), text, capacity_bytes, needed_bytes);
  });
}

int pvnet_model_metadata(const pvnet_model* model, const char* key, char* text,
                         size_t capacity_bytes, size_t* needed_bytes) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_model_metadata", "model", model));
    PVNET_TRY(need("pvnet_model_metadata", "key", key));
    const pvnet::Metadata& metadata = model->model.metadata();
    const auto it = metadata.find(std::string_view(key));
    if (it == metadata.end()) {
      std::string keys;
      for (const auto& [k, v] : metadata) keys += (keys.empty() ? "" : ", ") + k;
      return refuse("pvnet_model_metadata", "no such metadata", "key '" + std::string(key) + "'",
                    keys.empty() ? "nothing, as this model has none" : "one of " + keys,
                    "Add it when the model is saved");
    }
    return copy_text("pvnet_model_metadata", it->second, text, capacity_bytes, needed_bytes);
  });
}

}  // extern "C"
