// SPDX-License-Identifier: Apache-2.0
// Model files: what is written comes back, equal models are equal bytes, and every way to damage a
// file gives a Status with a readable message.
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <regex>

#include "check.hpp"
#include "model/convert.hpp"
#include "model/open_model.hpp"
#include "model_fixture.hpp"

using namespace pvnet;

static bool same_weights(const Weights& a, const Weights& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, t] : a) {
    const auto it = b.find(name);
    if (it == b.end() || it->second.shape != t.shape || it->second.data != t.data) return false;
  }
  return true;
}

static bool readable(const Status& s) {
  static const std::regex form(R"(^\[.+\] [\s\S]+: got [\s\S]+, expected [\s\S]+\. [\s\S]+\.$)");
  return std::regex_match(s.message(), form);
}

static Result<Model> load_bytes(const std::string& bytes) {
  return load_model(bytes.data(), bytes.size());
}

// A load that must fail with Code::file, a readable message and `part` in it.
static void refused(const std::string& bytes, const std::string& part) {
  const auto r = load_bytes(bytes);
  CHECK(!r.ok());
  if (r.ok()) return;
  CHECK(r.status().code() == Code::file);
  if (!readable(r.status()) || r.status().message().find(part) == std::string::npos) {
    check::fail(__FILE__, __LINE__, "wanted '" + part + "' in: " + r.status().message());
  }
}

static std::string with_header(const std::string& json, const std::string& data = "") {
  const uint64_t n = json.size();
  std::string s(8, '\0');
  std::memcpy(s.data(), &n, 8);
  return s + json + data;
}
static std::string header_of(const std::string& bytes) {
  uint64_t n = 0;
  std::memcpy(&n, bytes.data(), 8);
  return bytes.substr(8, n);
}
static std::string data_of(const std::string& bytes) {
  return bytes.substr(8 + header_of(bytes).size());
}
static std::string replaced(std::string s, const std::string& from, const std::string& to) {
  const size_t at = s.find(from);
  if (at == std::string::npos) fixture::die("the test looks for text that is not there: " + from);
  return s.replace(at, from.size(), to);
}
// The tiny model with one piece of its header replaced.
static std::string edited(const std::string& from, const std::string& to) {
  static const std::string good = fixture::saved_bytes(fixture::model_of(fixture::tiny_graph()));
  return with_header(replaced(header_of(good), from, to), data_of(good));
}

TEST(a_saved_model_is_loaded_unchanged) {
  Model m = fixture::model_of(fixture::small_graph());
  m.metadata["note"] = "caf\xc3\xa9 \"quoted\"\n";
  const fixture::TempFolder folder;
  const std::string path = folder.file("m.safetensors");
  CHECK(save_model(path, m).ok());
  const auto r = load_model(path);
  CHECK(r.ok());
  if (!r.ok()) return check::fail(__FILE__, __LINE__, r.status().message());
  CHECK(same_weights(r.value().weights, m.weights));
  CHECK_EQ(r.value().graph.to_json(), m.graph.to_json());
  CHECK(r.value().metadata == m.metadata);
  CHECK_EQ(folder.entries(), size_t{1});
}

TEST(equal_models_are_equal_bytes) {
  const Model m = fixture::model_of(fixture::small_graph());
  const std::string bytes = fixture::saved_bytes(m);
  const auto r = load_bytes(bytes);
  CHECK(r.ok());
  if (r.ok()) CHECK(fixture::saved_bytes(r.value()) == bytes);
  CHECK_EQ(header_of(bytes).size() % 8, size_t{0});
}

TEST(other_element_types) {
  Model m = fixture::model_of(fixture::tiny_graph());
  for (auto& [name, t] : m.weights) {
    for (float& x : t.data) x = std::ldexp(std::round(x * 64.0f), -6);  // exact in every type
  }
  const std::string bytes = fixture::saved_bytes(m);
  for (const std::string dtype : {"F16", "BF16", "F64"}) {
    const size_t size = dtype == "F64" ? 8 : 2;
    std::string header = "{\"__metadata__\":{";
    const std::string old = header_of(bytes);
    const size_t meta_end = old.find("},\"a.bias\"");
    header += old.substr(header.size(), meta_end - header.size()) + "}";
    std::string data;
    for (const auto& [name, t] : m.weights) {
      const size_t begin = data.size();
      std::string shape;
      for (const int64_t s : t.shape) shape += (shape.empty() ? "" : ",") + std::to_string(s);
      for (const float x : t.data) {
        const double d = x;
        const uint32_t f = std::bit_cast<uint32_t>(x);
        uint16_t h = static_cast<uint16_t>(f >> 16);
        if (dtype == "F16") {
          const uint32_t e = (f >> 23) & 0xff;
          h = e == 0
                  ? 0
                  : static_cast<uint16_t>((f >> 16 & 0x8000) | (e - 112) << 10 | (f >> 13 & 0x3ff));
        }
        data.append(
            size == 8 ? reinterpret_cast<const char*>(&d) : reinterpret_cast<const char*>(&h),
            size);
      }
      header += ",\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape +
                "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(data.size()) +
                "]}";
    }
    const auto r = load_bytes(with_header(header + "}", data));
    CHECK(r.ok());
    if (!r.ok()) check::fail(__FILE__, __LINE__, r.status().message());
    if (r.ok()) CHECK(same_weights(r.value().weights, m.weights));
  }
}

TEST(half_precision_values) {
  CHECK_EQ(model::half_to_float(0x3c00), 1.0f);
  CHECK_EQ(model::half_to_float(0xc000), -2.0f);
  CHECK_EQ(model::half_to_float(0x7bff), 65504.0f);
  CHECK_EQ(model::half_to_float(0x0001), std::ldexp(1.0f, -24));
  CHECK_EQ(model::half_to_float(0x03ff), std::ldexp(1023.0f, -24));
  CHECK(std::signbit(model::half_to_float(0x8000)));
  CHECK(std::isinf(model::half_to_float(0x7c00)));
  CHECK(std::isnan(model::half_to_float(0x7e01)));
  CHECK_EQ(model::bfloat16_to_float(0x3f80), 1.0f);
  const double wide[3] = {1e300, -1e300, 3.4028234663852886e38};
  float narrow[3];
  model::convert_to_float(model::Dtype::f64, wide, 3, narrow);
  CHECK(std::isinf(narrow[0]) && narrow[0] > 0 && std::isinf(narrow[1]) && narrow[1] < 0);
  CHECK_EQ(narrow[2], std::numeric_limits<float>::max());
}

TEST(cut_at_every_byte) {
  const std::string good = fixture::saved_bytes(fixture::model_of(fixture::tiny_graph()));
  for (size_t n = 0; n < good.size(); ++n) {
    // A copy of exactly n bytes, so that a sanitizer sees a read beyond them.
    const std::vector<char> part(good.begin(), good.begin() + static_cast<ptrdiff_t>(n));
    const auto r = load_model(n == 0 ? "" : part.data(), n);
    CHECK(!r.ok());
    if (!r.ok() && (!readable(r.status()) || r.status().code() != Code::file)) {
      check::fail(__FILE__, __LINE__, std::to_string(n) + ": " + r.status().message());
    }
  }
  CHECK(load_bytes(good).ok());
  CHECK(!load_bytes(good + '\0').ok());
}

TEST(damaged_headers_are_refused) {
  const std::string huge_length = std::string(8, '\xff') + "{}";
  refused(huge_length, "header of");
  refused(with_header(""), "first byte");
  refused(with_header("[]"), "first byte");
  refused(with_header(" {}"), "first byte");
  refused(with_header("{}"), "not a pvnet model");
  refused(with_header("{\"__metadata__\":{\"format\":\"pt\"}}"), "not a pvnet model");
  refused(with_header("{\"__metadata__\":3}"), "__metadata__");
  refused(with_header("{\"__metadata__\":{\"a\":1}}"), "a string");
  refused(edited("\"F32\"", "\"I64\""), "not supported");
  refused(edited("\"F32\"", "32"), "not supported");
  refused(edited("\"F32\"", "\"F64\""), "length of tensor");
  refused(edited("\"shape\":[1]", "\"shape\":[-1]"), "whole numbers");
  refused(edited("\"shape\":[1]", "\"shape\":[1.5]"), "whole numbers");
  refused(edited("\"shape\":[1]", "\"shape\":[1e15,1e15]"), "2^64");
  refused(edited("\"shape\":[1]", "\"shape\":[4611686018427387905]"), "shape of tensor");
  refused(edited("\"shape\":[1]", "\"shape\":[9007199254740992]"), "length of tensor");
  refused(edited("\"shape\":[1]", "\"shape\":1"), "shape of tensor");
  refused(edited("\"shape\":[1]", "\"shape\":[1,1]"), "another shape");
  refused(edited("[0,4]", "[0,8]"), "length of tensor");
  refused(edited("[0,4]", "[4,0]"), "begin <= end");
  refused(edited("[0,4]", "[0,99999]"), "begin <= end");
  refused(edited("[0,4]", "[4,8]"), "hole");
  refused(edited("[4,8]", "[0,4]"), "overlap");
  refused(edited("[0,4]", "[0,4,8]"), "data_offsets");
  refused(edited("[0,4]", "[\"0\",4]"), "data_offsets");
  refused(edited("\"dtype\"", "\"extra\":1,\"dtype\""), "an object with");
  refused(edited("\"a.bias\"", "\"c.bias\""), "belongs to no node");
  refused(edited("\"a.bias\"", "\"a.weight\""), "");  // a key twice
}

TEST(unknown_versions_are_refused) {
  const std::string one = "\"pvnet_version\":\"1\"";
  refused(edited(one, "\"pvnet_version\":\"3\""), "newer");
  refused(edited(one, "\"pvnet_version\":\"99999999999999999999\""), "newer");
  refused(edited(one, "\"pvnet_version\":\"0\""), "pvnet_version");
  refused(edited(one, "\"pvnet_version\":\"x\""), "pvnet_version");
  refused(edited(one, "\"some_version\":\"1\""), "pvnet_version");
}

TEST(bad_graphs_are_file_errors) {
  refused(edited("\\\"conv3d\\\"", "\\\"convxx\\\""), "");
  refused(edited("\\\"pvnet-graph\\\"", "\\\"some-graph\\\""), "");
  refused(edited("\"pvnet_graph\":\"{", "\"pvnet_graph\":\"{{"), "");
}

TEST(weights_that_are_not_finite_are_refused) {
  std::string bytes = fixture::saved_bytes(fixture::model_of(fixture::tiny_graph()));
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    std::memcpy(bytes.data() + bytes.size() - 4, &bad, 4);
    refused(bytes, "not finite");
  }
}

TEST(weights_are_checked) {
  const Graph g = fixture::small_graph();
  const Weights good = fixture::random_weights(g, 3);
  CHECK(check_weights(g, good).ok());
  const auto broken = [&](auto change, const std::string& part) {
    Weights w = good;
    change(w);
    const Status s = check_weights(g, w);
    CHECK(!s.ok() && readable(s) && s.code() == Code::invalid_argument);
    if (s.message().find(part) == std::string::npos) check::fail(__FILE__, __LINE__, s.message());
    Model m;
    m.graph = g;
    m.weights = std::move(w);
    const fixture::TempFolder folder;
    CHECK(!save_model(folder.file("m"), m).ok());
    CHECK_EQ(folder.entries(), size_t{0});
  };
  broken([](Weights& w) { w.erase("head.bias"); }, "missing");
  broken([](Weights& w) { w["more.weight"] = {}; }, "belongs to no node");
  broken([](Weights& w) { w["head.bias"].shape = {1, 5}; }, "another shape");
  broken([](Weights& w) { w["head.bias"].data.pop_back(); }, "does not fit its shape");
  broken([](Weights& w) { w["stem.weight"].data[7] = NAN; }, "not finite");
  broken([](Weights& w) { w["stem.norm.running_var"].data[0] = -1.0f; }, "negative");
}

TEST(expected_names_and_shapes) {
  std::string all;
  for (const auto& [name, shape] : expected_weights(fixture::small_graph())) {
    all += name;
    for (const int64_t s : shape) all += " " + std::to_string(s);
    all += "\n";
  }
  CHECK_EQ(all, std::string("stem.weight 6 3 3 3 3\nstem.bias 6\nstem.norm.weight 6\n"
                            "stem.norm.bias 6\nstem.norm.running_mean 6\nstem.norm.running_var 6\n"
                            "body.weight 8 6 2 3 3\nbody.bias 8\nhead.weight 5 8\nhead.bias 5\n"));
}

TEST(save_replaces_whole_files_only) {
  const fixture::TempFolder folder;
  const std::string path = folder.file("m.safetensors");
  const Model m = fixture::model_of(fixture::tiny_graph());
  fixture::write_bytes(path, "old");
  Model bad = m;
  bad.metadata["pvnet_graph"] = "x";
  CHECK(!save_model(path, bad).ok());
  bad.metadata = {{"k", "\xff\xfe"}};  // not UTF-8
  CHECK(!save_model(path, bad).ok());
  CHECK_EQ(fixture::read_bytes(path), std::string("old"));
  CHECK(save_model(path, m).ok());
  CHECK(load_model(path).ok());
  CHECK_EQ(folder.entries(), size_t{1});
  for (const std::string& p : {folder.file("none/m"), folder.file(""), std::string()}) {
    const Status s = save_model(p, m);
    CHECK(!s.ok() && s.code() == Code::file && readable(s));
  }
  CHECK_EQ(folder.entries(), size_t{1});
}

TEST(unreadable_paths_are_file_errors) {
  const fixture::TempFolder folder;
  for (const std::string& p : {folder.file("none"), folder.file(""), std::string("/dev/null")}) {
    const auto r = load_model(p);
    CHECK(!r.ok() && r.status().code() == Code::file && readable(r.status()));
  }
  CHECK(load_model(nullptr, 8).status().code() == Code::invalid_argument);
}

TEST(an_open_model_gives_the_tensors_that_load_model_gives) {
  const Model m = fixture::model_of(fixture::small_graph());
  const fixture::TempFolder folder;
  const std::string path = folder.file("m.safetensors");
  CHECK(save_model(path, m).ok());
  const std::string bytes = fixture::saved_bytes(m);
  std::string gone = bytes;
  auto copied = OpenModel::open(gone.data(), gone.size(), true);
  gone.assign(gone.size(), '\0');
  const Result<OpenModel> opened[] = {OpenModel::open(path), std::move(copied),
                                      OpenModel::open(bytes.data(), bytes.size(), false)};
  for (const auto& open : opened) {
    CHECK(open.ok());
    if (!open.ok()) continue;
    CHECK_EQ(open.value().graph().to_json(), m.graph.to_json());
    CHECK_EQ(open.value().names().size(), m.weights.size());
    Tensor room;
    for (const auto& [name, tensor] : m.weights) {
      const auto read = open.value().tensor(name, room);
      CHECK(read.ok() && read.value()->data == tensor.data && read.value()->shape == tensor.shape);
    }
    NodeWeights by_node(open.value());
    for (const Node& node : m.graph.nodes()) {
      const auto held = by_node.of(node);
      CHECK(held.ok());
      for (const auto& [name, tensor] : m.weights) {
        if (name != node.name + ".weight" && name != node.name + ".bias") continue;
        const auto it = held.value()->find(name);
        CHECK(it != held.value()->end() && it->second.data == tensor.data);
      }
    }
    CHECK(open.value().shape("nobody") == nullptr);
  }
}

TEST(a_file_that_is_written_into_while_it_is_open_is_refused) {
  Model m = fixture::model_of(fixture::small_graph());
  const fixture::TempFolder folder;
  const std::string path = folder.file("m.safetensors");
  CHECK(save_model(path, m).ok());
  const auto open = OpenModel::open(path);
  CHECK(open.ok());
  const std::string name = m.weights.begin()->first;
  Tensor room;
  // By rename: the open file is the old one.
  m.weights.begin()->second.data[0] += 1.0f;
  CHECK(save_model(path, m).ok());
  const auto old = open.value().tensor(name, room);
  CHECK(old.ok() && old.value()->data != m.weights.begin()->second.data);
  // In place.
  const auto second = OpenModel::open(path);
  CHECK(second.ok());
  if (truncate(path.c_str(), 100) != 0) fixture::die("truncate");
  const auto torn = second.value().tensor(name, room);
  CHECK(!torn.ok());
  CHECK(torn.status().code() == Code::file && readable(torn.status()));
}

TEST(an_open_model_refuses_values_that_are_not_finite) {
  Model m = fixture::model_of(fixture::small_graph());
  const std::string good = fixture::saved_bytes(m);
  std::string bad = good;
  const uint32_t nan = 0x7fc00000;
  std::memcpy(bad.data() + bad.size() - sizeof(nan), &nan, sizeof(nan));
  CHECK(OpenModel::open(good.data(), good.size(), false).ok());
  const auto refused_model = OpenModel::open(bad.data(), bad.size(), false);
  CHECK(!refused_model.ok());
  CHECK(refused_model.status().code() == Code::file && readable(refused_model.status()));
}
