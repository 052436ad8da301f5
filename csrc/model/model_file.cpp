// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "model/model_file.hpp"

#include "host/memory_room.hpp"
#include "model/convert.hpp"
#include "model/errors.hpp"
#include "model/file_io.hpp"
#include "model/safetensors.hpp"

namespace pvnet {

using model::failure;
using model::Header;
using model::quoted;
using model::Source;
using model::TensorEntry;

constexpr const char* kGraphKey = "pvnet_graph";
constexpr const char* kVersionKey = "pvnet_version";

static Status as_file_error(const Status& status) {
  return status.ok() ? Status() : Status(Code::file, status.message());
}

static Result<Header> read_header(const Source& source, uint64_t* data_start) {
  const auto damaged = [&source](const std::string& got, const std::string& expected) {
    return failure(Code::file, "load_model", source.label() + " is no safetensors file", got,
                   expected, "Save the model again, or fetch the file again");
  };
  uint64_t length = 0;
  if (source.size_bytes() < sizeof(length)) {
    return damaged(std::to_string(source.size_bytes()) + " bytes", "at least 8 bytes");
  }
  if (source.size_bytes() > model::kMaxFileBytes) {
    return damaged(std::to_string(source.size_bytes()) + " bytes",
                   "at most " + std::to_string(model::kMaxFileBytes) + " bytes");
  }
  PVNET_TRY(source.read(0, &length, sizeof(length)));
  if (length > model::kMaxHeaderBytes || length > source.size_bytes() - sizeof(length)) {
    return damaged("a header of " + std::to_string(length) + " bytes",
                   "at most " + std::to_string(model::kMaxHeaderBytes) +
                       " and no more than the file has (" + std::to_string(source.size_bytes()) +
                       ")");
  }
  std::string text(length, '\0');
  PVNET_TRY(source.read(sizeof(length), text.data(), text.size()));
  *data_start = sizeof(length) + length;
  return model::parse_header(text, source.size_bytes() - *data_start, source.label());
}

// Decimal digits only; what does not fit reads as a version from the far future.
static int parse_version(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) return -1;
  if (text.size() > 6) return 1000000;
  int v = 0;
  for (const char c : text) v = v * 10 + (c - '0');
  return v;
}

static Status check_version(const Header& header, const std::string& label) {
  if (!header.metadata.contains(kGraphKey)) {
    return failure(Code::file, "load_model", label + " is not a pvnet model",
                   "a safetensors file without '" + std::string(kGraphKey) + "' in its metadata",
                   "a file written by pvnet.save", "Build the graph and save it with its weights");
  }
  const auto it = header.metadata.find(kVersionKey);
  const int version = it == header.metadata.end() ? -1 : parse_version(it->second);
  if (version < 1) {
    return failure(Code::file, "load_model", label + " has no usable " + std::string(kVersionKey),
                   it == header.metadata.end() ? "none" : quoted(it->second), "a number from 1",
                   "Save the model again");
  }
  if (version > kNewestFormat) {
    return failure(Code::file, "load_model", label + " was written by a newer pvnet",
                   "format version " + quoted(it->second),
                   "at most " + std::to_string(kNewestFormat),
                   "Update pvnet, or save it with this one");
  }
  return {};
}

// Names and shapes are those of the graph, so that what is allocated next is what the network
// needs.
static Status check_entries(const Header& header, const Graph& graph, const std::string& label) {
  std::map<std::string, std::vector<int64_t>, std::less<>> expected;
  for (auto& [name, shape] : expected_weights(graph)) expected.emplace(name, shape);
  const auto differs = [&label](const std::string& what, const std::string& got,
                                const std::string& want) {
    return failure(Code::file, "load_model", what + " in " + label, got, want,
                   "Save the graph and its own weights together");
  };
  for (const TensorEntry& t : header.tensors) {
    const auto it = expected.find(t.name);
    if (it == expected.end()) {
      return differs("tensor " + quoted(t.name) + " belongs to no node",
                     "a tensor of shape " + model::shape_text(t.shape),
                     "only weights of the graph");
    }
    if (it->second != t.shape) {
      return differs("weight " + quoted(t.name) + " has another shape", model::shape_text(t.shape),
                     model::shape_text(it->second));
    }
    expected.erase(it);
  }
  if (!expected.empty()) {
    return differs("weight " + quoted(expected.begin()->first) + " is missing", "no such tensor",
                   "a tensor of shape " + model::shape_text(expected.begin()->second));
  }
  return {};
}

// A file may have holes, and then it is larger than what its disk could hold.
static Status check_memory(const Header& header, const std::string& label) {
  Size bytes;
  for (const TensorEntry& t : header.tensors) {
    bytes += Size(static_cast<int64_t>(t.elements)) * Size(sizeof(float));
  }
  return need_memory("load_model", "the weights of " + label + " do not fit into memory", bytes,
                     "Use a smaller model, or more memory.");
}

static Status read_tensor(const Source& source, uint64_t data_start, const TensorEntry& entry,
                          Tensor* tensor) {
  tensor->shape = entry.shape;
  tensor->data.resize(entry.elements);
  if (entry.dtype == model::Dtype::f32) {
    return source.read(data_start + entry.begin, tensor->data.data(), entry.end - entry.begin);
  }
  constexpr size_t kPiece = 4096;  // elements
  char piece[kPiece * sizeof(double)];
  const size_t size = model::element_bytes(entry.dtype);
  for (size_t done = 0; done < entry.elements;) {
    const size_t n = std::min(kPiece, static_cast<size_t>(entry.elements) - done);
    PVNET_TRY(source.read(data_start + entry.begin + done * size, piece, n * size));
    model::convert_to_float(entry.dtype, piece, n, tensor->data.data() + done);
    done += n;
  }
  return {};
}

static Result<Model> load_from(const Source& source) {
  uint64_t data_start = 0;
  Result<Header> header = read_header(source, &data_start);
  if (!header.ok()) return header.status();
  const Header& h = header.value();
  PVNET_TRY(check_version(h, source.label()));
  Result<Graph> graph = Graph::from_json(h.metadata.find(kGraphKey)->second);
  if (!graph.ok()) return as_file_error(graph.status());
  PVNET_TRY(check_entries(h, graph.value(), source.label()));
  PVNET_TRY(check_memory(h, source.label()));
  Model m;
  m.graph = std::move(graph).value();
  for (const TensorEntry& entry : h.tensors) {
    PVNET_TRY(read_tensor(source, data_start, entry, &m.weights[entry.name]));
  }
  PVNET_TRY(as_file_error(check_weights(m.graph, m.weights)));
  for (const auto& [key, value] : h.metadata) {
    if (key != kGraphKey && key != kVersionKey) m.metadata.emplace(key, value);
  }
  return Result<Model>(std::move(m));
}

// The only exceptions that can arise are those of an allocation too large for the machine.
static Result<Model> load_guarded(const Source& source) {
  try {
    return load_from(source);
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  return failure(Code::out_of_memory, "load_model", source.label() + " does not fit into memory",
                 std::to_string(source.size_bytes()) + " bytes", "a model that fits",
                 "Use a smaller model, or more memory");
}

Result<Model> load_model(const std::string& path) {
  Result<Source> source = Source::open(path);
  if (!source.ok()) return source.status();
  return load_guarded(source.value());
}

Result<Model> load_model(const void* bytes, size_t size_bytes) {
  if (bytes == nullptr) {
    return failure(Code::invalid_argument, "load_model", "model bytes are missing",
                   "a null pointer", "the bytes of a model file",
                   "Pass a pointer to them and their number");
  }
  return load_guarded(Source::memory(bytes, size_bytes));
}

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
