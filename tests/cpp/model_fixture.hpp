// SPDX-License-Identifier: Apache-2.0
// Small models with reproducible weights for the tests of model files and of the C ABI.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

#include "graph/graph.hpp"
#include "model/model_file.hpp"

namespace fixture {

// The same numbers on every machine, unlike the distributions of <random>.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2654435761u + 88172645463325252u) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }
  float uniform() { return static_cast<float>(next() >> 40) / 16777216.0f - 0.5f; }

 private:
  uint64_t state_;
};

inline void die(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
}

inline pvnet::Graph graph_of(const std::vector<std::string>& nodes, const std::string& output) {
  pvnet::Graph g;
  for (const std::string& node : nodes) {
    const auto r = g.add(node);
    if (!r.ok()) die(r.status().message());
  }
  const pvnet::Status s = g.set_output("logits", output);
  if (!s.ok()) die(s.message());
  return g;
}

// One input [3, 16, 16], two convolutions over time, a pool over space and time, 5 numbers out.
inline pvnet::Graph small_graph() {
  return graph_of(
      {R"({"op":"input","name":"frame","attrs":{"channels":3,"height":16,"width":16}})",
       R"({"op":"conv3d","name":"stem","inputs":["frame"],"attrs":{"out":6,"kernel":[3,3,3],)"
       R"("stride":[1,2,2],"padding":[1,1],"norm":true,"act":"relu"}})",
       R"({"op":"conv3d","name":"body","inputs":["stem"],"attrs":{"out":8,"kernel":[2,3,3],)"
       R"("padding":[1,1],"act":"relu"}})",
       R"({"op":"global_pool","name":"pool","inputs":["body"],"attrs":{"window":2}})",
       R"({"op":"linear","name":"head","inputs":["pool"],"attrs":{"out":5}})"},
      "head");
}

// As few bytes as a model with every kind of entry can have: for the tests that try every byte.
inline pvnet::Graph tiny_graph() {
  return graph_of({R"({"op":"input","name":"x","attrs":{"channels":1,"height":2,"width":2}})",
                   R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":1,"norm":true}})",
                   R"({"op":"linear","name":"b","inputs":["a"],"attrs":{"out":2}})"},
                  "b");
}

inline pvnet::Weights random_weights(const pvnet::Graph& graph, uint64_t seed) {
  pvnet::Weights weights;
  Random random(seed);
  for (const auto& [name, shape] : pvnet::expected_weights(graph)) {
    pvnet::Tensor& t = weights[name];
    t.shape = shape;
    size_t n = 1;
    for (const int64_t s : shape) n *= static_cast<size_t>(s);
    const bool variance = name.ends_with("running_var");
    for (size_t i = 0; i < n; ++i) t.data.push_back(random.uniform() + (variance ? 1.0f : 0.0f));
  }
  return weights;
}

inline pvnet::Model model_of(pvnet::Graph graph, uint64_t seed = 1) {
  pvnet::Model m;
  m.weights = random_weights(graph, seed);
  m.graph = std::move(graph);
  return m;
}

// A folder of this process, removed with everything in it.
class TempFolder {
 public:
  TempFolder() {
    static int serial = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("pvnet_test_" + std::to_string(::getpid()) + "_" + std::to_string(++serial));
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string saved_bytes(const pvnet::Model& m) {
  const TempFolder folder;
  const std::string path = folder.file("m.safetensors");
  const pvnet::Status s = pvnet::save_model(path, m);
  if (!s.ok()) die(s.message());
  return read_bytes(path);
}

}  // namespace fixture
