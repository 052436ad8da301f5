// SPDX-License-Identifier: Apache-2.0
#include "model/open_model.hpp"

#include <algorithm>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "host/memory_room.hpp"
#include "model/convert.hpp"
#include "model/errors.hpp"

namespace pvnet {

using model::failure;
using model::Header;
using model::kGraphKey;
using model::kVersionKey;
using model::quoted;
using model::Source;
using model::TensorEntry;

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

// The only exceptions that can arise are those of an allocation too large for the machine.
template <class T, class F>
static Result<T> guarded(const std::string& label, uint64_t size_bytes, F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  return failure(Code::out_of_memory, "load_model", label + " does not fit into memory",
                 std::to_string(size_bytes) + " bytes", "a model that fits",
                 "Use a smaller model, or more memory");
}

Status OpenModel::read(const TensorEntry& entry, Tensor& tensor) const {
  const uint64_t begin = data_start_ + entry.begin;
  tensor.shape = entry.shape;
  tensor.data.resize(entry.elements);
  if (entry.dtype == model::Dtype::f32) {
    return source_.read(begin, tensor.data.data(), entry.end - entry.begin);
  }
  constexpr size_t kPiece = 4096;  // elements
  char piece[kPiece * sizeof(double)];
  const size_t size = model::element_bytes(entry.dtype);
  for (size_t done = 0; done < entry.elements;) {
    const size_t n = std::min(kPiece, static_cast<size_t>(entry.elements) - done);
    PVNET_TRY(source_.read(begin + done * size, piece, n * size));
    model::convert_to_float(entry.dtype, piece, n, tensor.data.data() + done);
    done += n;
  }
  return {};
}

std::vector<std::string_view> OpenModel::names() const {
  std::vector<std::string_view> all;
  all.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) all.emplace_back(name);
  return all;
}

const std::vector<int64_t>* OpenModel::shape(std::string_view name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second.shape;
}

Result<const Tensor*> OpenModel::tensor(std::string_view name, Tensor& room) const {
  PVNET_TRY(read(entries_.find(name)->second, room));
  return &room;
}

Result<OpenModel> OpenModel::from(Source source) {
  uint64_t data_start = 0;
  Result<Header> header = read_header(source, &data_start);
  if (!header.ok()) return header.status();
  Header& h = header.value();
  PVNET_TRY(check_version(h, source.label()));
  Result<Graph> graph = Graph::from_json(h.metadata.find(kGraphKey)->second);
  if (!graph.ok()) return as_file_error(graph.status());
  PVNET_TRY(check_entries(h, graph.value(), source.label()));
  PVNET_TRY(check_memory(h, source.label()));
  OpenModel m(std::move(source), std::move(graph).value());
  m.data_start_ = data_start;
  for (TensorEntry& entry : h.tensors) {
    std::string name = entry.name;
    m.entries_.emplace(std::move(name), std::move(entry));
  }
  for (auto& [key, value] : h.metadata) {
    if (key != kGraphKey && key != kVersionKey) m.metadata_.emplace(key, std::move(value));
  }
  return Result<OpenModel>(std::move(m));
}

Result<OpenModel> OpenModel::checked(Source source) {
  const std::string label = source.label();
  return guarded<OpenModel>(label, source.size_bytes(), [&]() -> Result<OpenModel> {
    Result<OpenModel> m = from(std::move(source));
    if (!m.ok()) return m.status();
    PVNET_TRY(as_file_error(check_weights(m.value().graph_, m.value())));
    return m;
  });
}

Result<Model> OpenModel::load_all(Source source) {
  Result<OpenModel> opened = from(std::move(source));
  if (!opened.ok()) return opened.status();
  OpenModel& from_file = opened.value();
  Model m;
  for (const auto& [name, entry] : from_file.entries_) {
    PVNET_TRY(from_file.read(entry, m.weights[name]));
  }
  PVNET_TRY(as_file_error(check_weights(from_file.graph_, m.weights)));
  m.graph = std::move(from_file.graph_);
  m.metadata = std::move(from_file.metadata_);
  return Result<Model>(std::move(m));
}

Result<Model> OpenModel::load(Source source) {
  const std::string label = source.label();
  return guarded<Model>(label, source.size_bytes(), [&] { return load_all(std::move(source)); });
}

static Status missing_bytes() {
  return failure(Code::invalid_argument, "load_model", "model bytes are missing", "a null pointer",
                 "the bytes of a model file", "Pass a pointer to them and their number");
}

Result<OpenModel> OpenModel::open(const std::string& path) {
  Result<Source> source = Source::open(path);
  if (!source.ok()) return source.status();
  return checked(std::move(source).value());
}

Result<OpenModel> OpenModel::open(const void* bytes, size_t size_bytes, bool copy) {
  if (bytes == nullptr) return missing_bytes();
  Source borrowed = Source::memory(bytes, size_bytes);
  if (!copy) return checked(std::move(borrowed));
  return guarded<OpenModel>(borrowed.label(), size_bytes,
                            [&] { return checked(Source::copy(bytes, size_bytes)); });
}

Result<Model> load_model(const std::string& path) {
  Result<Source> source = Source::open(path);
  if (!source.ok()) return source.status();
  return OpenModel::load(std::move(source).value());
}

Result<Model> load_model(const void* bytes, size_t size_bytes) {
  if (bytes == nullptr) return missing_bytes();
  return OpenModel::load(Source::memory(bytes, size_bytes));
}

}  // namespace pvnet
