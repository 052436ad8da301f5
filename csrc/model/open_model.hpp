// SPDX-License-Identifier: Apache-2.0
// A model file that is open: its graph and metadata are here, its weights come when they are asked
// for. So compile() holds what it packs, and of the file one node.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/file_io.hpp"
#include "model/model_file.hpp"
#include "model/safetensors.hpp"
#include "model/weight_source.hpp"

namespace pvnet {

class OpenModel : public WeightSource {
 public:
  // Refuses what load_model() refuses, values included: the file is read once. A file stays open,
  // and what is written into it from then on is refused where it is read.
  static Result<OpenModel> open(const std::string& path);
  // `copy`: else the bytes are borrowed.
  static Result<OpenModel> open(const void* bytes, size_t size_bytes, bool copy);

  const Graph& graph() const { return graph_; }
  const Metadata& metadata() const { return metadata_; }

  std::vector<std::string_view> names() const override;
  const std::vector<int64_t>* shape(std::string_view name) const override;
  Result<const Tensor*> tensor(std::string_view name, Tensor& room) const override;

 private:
  friend Result<Model> load_model(const std::string& path);
  friend Result<Model> load_model(const void* bytes, size_t size_bytes);
  OpenModel(model::Source source, Graph graph)
      : source_(std::move(source)), graph_(std::move(graph)) {}
  static Result<OpenModel> from(model::Source source);
  static Result<OpenModel> checked(model::Source source);
  static Result<Model> load(model::Source source);
  static Result<Model> load_all(model::Source source);
  Status read(const model::TensorEntry& entry, Tensor& tensor) const;

  model::Source source_;
  uint64_t data_start_ = 0;
  Graph graph_;
  Metadata metadata_;
  std::map<std::string, model::TensorEntry, std::less<>> entries_;
};

}  // namespace pvnet
