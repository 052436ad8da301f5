// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <random>
#include <regex>

#include "check.hpp"
#include "graph/json.hpp"

using pvnet::json::parse;
using pvnet::json::Value;

namespace {

bool refused(const std::string& text) {
  const auto r = parse(text, "test");
  if (r.ok()) return false;
  static const std::regex form(R"(\[[^\]]+\] [\s\S]+: got [\s\S]+, expected [\s\S]+\. [\s\S]+\.)");
  return std::regex_match(r.status().message(), form);
}

std::string again(const std::string& text) {
  const auto r = parse(text, "test");
  return r.ok() ? r.value().dump() : "refused: " + r.status().message();
}

}  // namespace

TEST(values_survive_a_round_trip) {
  for (const char* text :
       {"null", "true", "false", "0", "-1", "9007199254740992", "0.1", "1e-05", "\"\"", "[]", "{}",
        "[1,[2,[]],{\"a\":null}]", "{\"b\":1,\"a\":[true]}", "\"\\\"\\\\\\n\\u0001\""}) {
    CHECK_EQ(again(text), std::string(text));
  }
  CHECK_EQ(again(" [ 1 , 2 ]\n\t"), std::string("[1,2]"));
  CHECK_EQ(again("\"\\u00e9\\ud83d\\ude00\""), std::string("\"\xc3\xa9\xf0\x9f\x98\x80\""));
  CHECK_EQ(again("1e2"), std::string("100"));
}

TEST(objects_keep_their_order) {
  const auto r = parse("{\"z\":1,\"a\":2}", "test");
  CHECK(r.ok());
  CHECK_EQ(r.value().members()[0].first, std::string("z"));
  CHECK(r.value().find("a")->as_integer() == 2);
  CHECK(r.value().find("b") == nullptr);
}

TEST(integers_are_told_from_numbers) {
  CHECK(parse("3", "t").value().is_integer());
  CHECK(parse("3.0", "t").value().is_integer());
  CHECK(!parse("3.5", "t").value().is_integer());
  CHECK(!parse("1e17", "t").value().is_integer());
  CHECK(!parse("true", "t").value().is_integer());
}

TEST(damaged_text_is_refused) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "nulll",
                           "tru",
                           "01",
                           "1.",
                           ".5",
                           "-",
                           "+1",
                           "1e",
                           "1e999",
                           "NaN",
                           "Infinity",
                           "[1,]",
                           "[1",
                           "[,1]",
                           "{",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{\"a\":1,\"a\":2}",
                           "\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\ud800\"",
                           "\"\\udc00\"",
                           "\"\\ud800\\u0041\"",
                           "1 2",
                           "[]]",
                           "\"\x01\"",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xf5\x80\x80\x80\"",
                           "'a'"}) {
    if (!refused(text)) check::fail(__FILE__, __LINE__, std::string("accepted: ") + text);
  }
}

TEST(hostile_sizes_are_refused) {
  CHECK(refused(std::string(100'000, '[')));
  CHECK(!refused(std::string(60, '[') + std::string(60, ']')));
  CHECK(refused(std::string(80, '[') + std::string(80, ']')));
  std::string many = "[0";
  for (int i = 0; i < 2'000'001; ++i) many += ",0";
  CHECK(refused(many + "]"));
  CHECK(refused("\"" + std::string(size_t{65} << 20, 'x') + "\""));
}

TEST(errors_name_the_document_and_the_offset) {
  const auto r = parse("[1, x]", "Graph.from_json");
  CHECK(r.status().message().starts_with("[Graph.from_json] "));
  CHECK(r.status().message().find("'x' at offset 4") != std::string::npos);
}

TEST(mutated_text_never_crashes) {
  const std::string seed =
      "{\"format\":\"pvnet-graph\",\"a\":[1,-2.5e3,true,null],\"s\":\"\\u00e9 \xc3\xa9\",\"o\":{}}";
  std::mt19937 rng(1);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = seed;
    for (uint32_t k = rng() % 4 + 1; k > 0; --k) {
      const size_t at = rng() % text.size();
      switch (rng() % 3) {
        case 0:
          text[at] = static_cast<char>(rng());
          break;
        case 1:
          text.erase(at, rng() % 8);
          break;
        default:
          text.insert(at, text.substr(rng() % text.size(), rng() % 8));
      }
      if (text.empty()) text = "x";
    }
    const auto r = parse(text, "fuzz");
    if (!r.ok()) continue;
    ++accepted;
    CHECK_EQ(again(r.value().dump()), r.value().dump());  // what was read can be written and read
  }
  CHECK(accepted > 100);
}
