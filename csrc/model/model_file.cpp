// SPDX-License-Identifier: Apache-2.0
// Saving; open_model.cpp loads.
#include <string>
#include <utility>
#include <vector>

#include "model/model_file.hpp"

#include "model/errors.hpp"
#include "model/file_io.hpp"
#include "model/safetensors.hpp"

namespace pvnet {

using model::failure;
using model::Header;
using model::kGraphKey;
using model::kVersionKey;
using model::quoted;

Status save_model(const std::string& path, const Model& m) {
  PVNET_TRY(m.graph.check());
  PVNET_TRY(check_weights(m.graph, m.weights));
  Metadata metadata = m.metadata;
  for (const char* key : {kGraphKey, kVersionKey}) {
    if (metadata.contains(key)) {
      return failure(Code::invalid_argument, "save_model", "metadata uses a reserved key",
                     quoted(key), "other keys", "Rename the key");
    }
  }
  metadata.emplace(kGraphKey, m.graph.to_json());
  metadata.emplace(kVersionKey, std::to_string(m.graph.format_version()));

  std::vector<std::pair<std::string, std::vector<int64_t>>> tensors;
  std::vector<model::Chunk> chunks(1);
  uint64_t data_bytes = 0;
  for (const auto& [name, tensor] : m.weights) {  // sorted by name: equal models, equal bytes
    tensors.emplace_back(name, tensor.shape);
    chunks.push_back({tensor.data.data(), tensor.data.size() * sizeof(float)});
    data_bytes += chunks.back().size_bytes;
  }
  const std::string header = model::format_header(metadata, tensors);
  chunks[0] = {header.data(), header.size()};
  // What load_model would refuse (a limit, text that is no UTF-8) is better refused here.
  const std::string_view json = std::string_view(header).substr(sizeof(uint64_t));
  if (json.size() > model::kMaxHeaderBytes || data_bytes > model::kMaxFileBytes - header.size()) {
    return failure(Code::invalid_argument, "save_model", "the model is too large for a model file",
                   std::to_string(json.size()) + " bytes of header, " + std::to_string(data_bytes) +
                       " bytes of weights",
                   "at most " + std::to_string(model::kMaxHeaderBytes) + " and " +
                       std::to_string(model::kMaxFileBytes),
                   "Shorten the metadata, or use fewer weights");
  }
  const Result<Header> reread = model::parse_header(json, data_bytes, "the new header");
  if (!reread.ok() || reread.value().metadata != metadata) {
    return failure(Code::invalid_argument, "save_model", "metadata cannot be stored",
                   "text that does not survive JSON", "UTF-8 text", "Encode binary values as text");
  }
  return model::write_atomically(path, chunks);
}

}  // namespace pvnet
