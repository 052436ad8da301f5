// SPDX-License-Identifier: Apache-2.0
// The safetensors container: u64 header length, JSON header, tensor bytes. Only the header is
// handled here; every number in it is checked before anybody allocates or reads by it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/status.hpp"

#include "model/convert.hpp"

namespace pvnet::model {

// Parsed JSON takes some 100 bytes a value, so this also bounds what a hostile header can cost.
constexpr uint64_t kMaxHeaderBytes = uint64_t{8} << 20;
constexpr uint64_t kMaxFileBytes = uint64_t{16} << 30;

// What pvnet keeps in the metadata.
constexpr const char* kGraphKey = "pvnet_graph";
constexpr const char* kVersionKey = "pvnet_version";

struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  uint64_t elements = 0;  // product of shape
  uint64_t begin = 0;     // bytes from the end of the header
  uint64_t end = 0;
};

struct Header {
  std::map<std::string, std::string, std::less<>> metadata;
  std::vector<TensorEntry> tensors;  // in the order of their bytes
};

// json: the header without its length. data_bytes: what follows it in the file; the tensors must
// cover exactly that, without holes and overlap. label names the file in messages.
Result<Header> parse_header(std::string_view json, uint64_t data_bytes, std::string_view label);

// The header of f32 tensors lying in the order given, as it stands in the file: length, JSON,
// padded with spaces to a multiple of 8 bytes.
std::string format_header(const std::map<std::string, std::string, std::less<>>& metadata,
                          const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors);

}  // namespace pvnet::model
