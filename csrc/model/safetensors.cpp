// SPDX-License-Identifier: Apache-2.0
#include "model/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "graph/json.hpp"
#include "model/errors.hpp"

namespace pvnet::model {

using json::Value;
using Kind = json::Value::Kind;

static Status damaged(std::string_view label, const std::string& what, const std::string& got,
                      const std::string& expected) {
  return failure(Code::file, "load_model", std::string(label) + " is damaged, " + what, got,
                 expected, "Save the model again, or fetch the file again");
}

// Non-negative and exact; doubles hold integers only up to 2^53, which is beyond any file.
static bool to_size(const Value& v, uint64_t* out) {
  if (!v.is_integer() || v.as_integer() < 0) return false;
  *out = static_cast<uint64_t>(v.as_integer());
  return true;
}

static Status parse_shape(const Value& v, std::string_view label, TensorEntry* t) {
  const std::string shape_of = "shape of tensor " + quoted(t->name);
  if (!v.is(Kind::array)) {
    return damaged(label, shape_of, quoted(v.dump()), "an array of sizes");
  }
  t->elements = 1;
  for (const Value& item : v.items()) {
    uint64_t size = 0;
    if (!to_size(item, &size)) {
      return damaged(label, shape_of, quoted(v.dump()), "whole numbers >= 0");
    }
    if (__builtin_mul_overflow(t->elements, size, &t->elements)) {
      return damaged(label, shape_of, quoted(v.dump()), "a product below 2^64");
    }
    t->shape.push_back(static_cast<int64_t>(size));
  }
  return {};
}

static Status parse_offsets(const Value& v, std::string_view label, uint64_t data_bytes,
                            TensorEntry* t) {
  const std::string what = "data_offsets of tensor " + quoted(t->name);
  if (!v.is(Kind::array) || v.items().size() != 2 || !to_size(v.items()[0], &t->begin) ||
      !to_size(v.items()[1], &t->end)) {
    return damaged(label, what, quoted(v.dump()), "[begin, end] in bytes");
  }
  if (t->begin > t->end || t->end > data_bytes) {
    return damaged(
        label, what, quoted(v.dump()),
        "begin <= end <= " + std::to_string(data_bytes) + " (the bytes after the header)");
  }
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(t->elements, uint64_t{element_bytes(t->dtype)}, &bytes) ||
      bytes != t->end - t->begin) {
    return damaged(label, "length of tensor " + quoted(t->name),
                   std::to_string(t->end - t->begin) + " bytes",
                   std::to_string(t->elements) + " elements of " +
                       std::to_string(element_bytes(t->dtype)) + " bytes");
  }
  return {};
}

static Status parse_tensor(const Value& v, std::string_view label, uint64_t data_bytes,
                           TensorEntry* t) {
  const Value* dtype = v.find("dtype");
  const Value* shape = v.find("shape");
  const Value* offsets = v.find("data_offsets");
  if (dtype == nullptr || shape == nullptr || offsets == nullptr || v.members().size() != 3) {
    return damaged(label, "entry of tensor " + quoted(t->name), quoted(v.dump()),
                   "an object with dtype, shape and data_offsets");
  }
  if (!dtype->is(Kind::string) || !dtype_from_name(dtype->as_string(), &t->dtype)) {
    return failure(Code::file, "load_model",
                   "element type of tensor " + quoted(t->name) + " in " + std::string(label) +
                       " is not supported",
                   quoted(dtype->dump()), "F32, F16, BF16 or F64", "Convert the weights to F32");
  }
  PVNET_TRY(parse_shape(*shape, label, t));
  return parse_offsets(*offsets, label, data_bytes, t);
}

// Sorted by offset, each tensor begins where the one before ended.
static Status check_cover(std::vector<TensorEntry>* tensors, std::string_view label,
                          uint64_t data_bytes) {
  std::sort(tensors->begin(), tensors->end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t at = 0;
  for (const TensorEntry& t : *tensors) {
    if (t.begin != at) {
      const char* what = t.begin < at ? "tensors overlap at " : "there is a hole before ";
      return damaged(label, what + quoted(t.name), "begin " + std::to_string(t.begin),
                     "begin " + std::to_string(at));
    }
    at = t.end;
  }
  if (at != data_bytes) {
    return damaged(label, "its tensors do not cover it", std::to_string(at) + " bytes of tensors",
                   std::to_string(data_bytes) + " bytes after the header");
  }
  return {};
}

Result<Header> parse_header(std::string_view text, uint64_t data_bytes, std::string_view label) {
  if (text.empty() || text.front() != '{') {
    return damaged(label, "first byte of the header",
                   text.empty() ? "an empty header" : quoted(text.substr(0, 1)), "'{'");
  }
  Result<Value> parsed = json::parse(text, "load_model");
  if (!parsed.ok()) return Status(Code::file, parsed.status().message());
  const Value& root = parsed.value();
  if (!root.is(Kind::object)) {
    return damaged(label, "header", "JSON that is not an object", "an object");
  }
  Header header;
  for (const auto& [name, v] : root.members()) {
    if (name != "__metadata__") {
      TensorEntry t;
      t.name = name;
      PVNET_TRY(parse_tensor(v, label, data_bytes, &t));
      header.tensors.push_back(std::move(t));
      continue;
    }
    if (!v.is(Kind::object)) return damaged(label, "__metadata__", "no object", "an object");
    for (const auto& [key, value] : v.members()) {
      if (!value.is(Kind::string)) {
        return damaged(label, "__metadata__ entry " + quoted(key), "no string", "a string");
      }
      header.metadata.emplace(key, value.as_string());
    }
  }
  PVNET_TRY(check_cover(&header.tensors, label, data_bytes));
  return header;
}

std::string format_header(
    const std::map<std::string, std::string, std::less<>>& metadata,
    const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors) {
  Value root = Value::object();
  Value meta = Value::object();
  for (const auto& [key, value] : metadata) meta.set(key, Value::string(value));
  root.set("__metadata__", std::move(meta));
  int64_t at = 0;
  for (const auto& [name, shape] : tensors) {
    Value entry = Value::object();
    Value sizes = Value::array();
    Value offsets = Value::array();
    int64_t bytes = sizeof(float);
    for (const int64_t s : shape) {
      sizes.push(Value::integer(s));
      bytes *= s;
    }
    offsets.push(Value::integer(at));
    at += bytes;
    offsets.push(Value::integer(at));
    entry.set("dtype", Value::string("F32"));
    entry.set("shape", std::move(sizes));
    entry.set("data_offsets", std::move(offsets));
    root.set(name, std::move(entry));
  }
  std::string text = root.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string out(sizeof(length), '\0');
  std::memcpy(out.data(), &length, sizeof(length));
  return out + text;
}

}  // namespace pvnet::model
