// SPDX-License-Identifier: Apache-2.0
// Building, checking, wiring and storing graphs.
#include "graph/graph.hpp"

#include <random>
#include <regex>

#include "check.hpp"
#include "graph/firing.hpp"

using namespace pvnet;

namespace {

bool well_formed(const Status& s) {
  static const std::regex form(R"(\[[^\]]+\] [\s\S]+: got [\s\S]+, expected [\s\S]+\. [\s\S]+\.)");
  return !s.ok() && std::regex_match(s.message(), form);
}

// The status must be an error of the house form that mentions every word of `words`.
void expect_error(const Status& s, std::initializer_list<const char*> words) {
  if (!well_formed(s)) check::fail(__FILE__, __LINE__, "not an error of the form: " + s.message());
  for (const char* w : words) {
    if (s.message().find(w) == std::string::npos) {
      check::fail(__FILE__, __LINE__, std::string("no '") + w + "' in: " + s.message());
    }
  }
}

int add(Graph& g, const std::string& json) {
  const Result<int> r = g.add(json);
  if (!r.ok()) check::fail(__FILE__, __LINE__, r.status().message());
  return r.ok() ? r.value() : 0;
}

int conv(Graph& g, const std::string& name, const std::string& input, int out = 4, int kt = 1,
         int st = 1) {
  return add(g, R"({"op":"conv3d","name":")" + name + R"(","inputs":[")" + input +
                    R"("],"attrs":{"out":)" + std::to_string(out) + R"(,"kernel":[)" +
                    std::to_string(kt) + R"(,3,3],"stride":[)" + std::to_string(st) +
                    R"(,1,1],"padding":[1,1]}})");
}

const std::string kInput =
    R"({"op":"input","name":"frame","attrs":{"channels":3,"height":16,"width":20}})";

// frame -> a -> b -> c -> d with a skip a -> cat(c, a) -> d
Graph chain() {
  Graph g;
  add(g, kInput);
  conv(g, "a", "frame", 4, 3);
  conv(g, "b", "a");
  conv(g, "c", "b", 4, 2);
  add(g, R"({"op":"concat","name":"cat","inputs":["c","a"]})");
  conv(g, "d", "cat");
  if (!g.set_output("out", "d").ok()) check::fail(__FILE__, __LINE__, "no output");
  return g;
}

int64_t delay(const Graph& g, const char* to, size_t input) {
  return g.nodes()[static_cast<size_t>(g.find(to))].inputs[input].delay;
}
Clock clock_of(const Graph& g, const char* node) {
  return g.nodes()[static_cast<size_t>(g.find(node))].clock;
}
const std::vector<std::vector<std::string>> kFour = {{"a"}, {"b"}, {"c"}, {"cat", "d"}};

}  // namespace

TEST(shapes_and_work_are_inferred) {
  Graph g = chain();
  const Node& a = g.nodes()[1];
  CHECK((a.shape == Shape{4, 16, 20}));
  CHECK_EQ(a.macs, int64_t{4} * 3 * 3 * 3 * 3 * 16 * 20);
  CHECK((g.nodes()[static_cast<size_t>(g.find("cat"))].shape == Shape{8, 16, 20}));
  CHECK_EQ(g.nodes()[static_cast<size_t>(g.find("cat"))].cost, 0.0);
  CHECK(g.check().ok());
  CHECK_EQ(
      add(g, R"({"op":"max_pool","inputs":["d"],"attrs":{"kernel":[1,3,3],"stride":[1,2,2]}})"), 6);
  CHECK_EQ(g.nodes()[6].name, std::string("max_pool_1"));
  CHECK((g.nodes()[6].shape == Shape{4, 7, 9}));
}

TEST(wirings_set_delays_and_origins) {
  const Graph g = chain();
  const Graph seq = g.wire(Wiring::sequential, kFour).value();
  const Graph pipe = g.wire(Wiring::pipelined, kFour).value();
  const Graph pred = g.wire(Wiring::predictive, kFour).value();
  CHECK_EQ(seq.n_stages(), 4);
  CHECK_EQ(delay(seq, "cat", 1), 0);
  CHECK_EQ(delay(pipe, "cat", 1), 3);
  CHECK_EQ(delay(pred, "cat", 1), 1);
  CHECK_EQ(delay(pred, "cat", 0), 1);
  CHECK_EQ(delay(pred, "d", 0), 0);
  CHECK_EQ(clock_of(pipe, "d").origin, 3);
  CHECK_EQ(clock_of(pred, "cat").origin, 3);  // of the first listed of inputs as fast
  const Graph back = pipe.wire(Wiring::sequential, 1).value();
  CHECK_EQ(back.to_json(), g.to_json());
}

TEST(the_fastest_input_decides_the_clock) {
  Graph g;
  add(g, kInput);
  conv(g, "slow", "frame", 4, 3, 4);
  conv(g, "fast", "frame", 4, 3, 2);
  add(g, R"({"op":"concat","name":"cat","inputs":["slow","fast"]})");
  add(g, R"({"op":"delay","name":"late","inputs":["cat"],"attrs":{"ticks":5}})");
  add(g,
      R"({"op":"conv3d","name":"shifted","inputs":["late"],"attrs":{"out":1,"stride":[2,1,1],"phase":3}})");
  CHECK((clock_of(g, "slow") == Clock{4, 0}));
  CHECK((clock_of(g, "cat") == Clock{2, 0}));
  CHECK((clock_of(g, "late") == Clock{2, 5}));
  CHECK((clock_of(g, "shifted") == Clock{4, 8}));
  CHECK_EQ(g.hyper_period(), 4);
  conv(g, "three", "frame", 4, 1, 3);
  expect_error(g.add(R"({"op":"concat","name":"x","inputs":["three","fast"]})").status(),
               {"'x'", "'three' every 3", "'fast' every 2"});
  CHECK_EQ(g.nodes().size(), size_t{7});  // unchanged by the error
}

TEST(feedback_never_decides_a_clock) {
  Graph g;
  add(g, kInput);
  add(g,
      R"({"op":"feedback","name":"fb","inputs":["top"],"attrs":{"channels":4,"height":16,"width":20}})");
  conv(g, "fb_conv", "fb");
  conv(g, "a", "frame", 4, 1, 2);
  add(g, R"({"op":"concat","name":"cat","inputs":["fb_conv","a"]})");
  expect_error(g.check(), {"'fb'", "'top'"});
  conv(g, "top", "cat");
  CHECK(g.set_output("out", "top").ok());
  CHECK(g.check().ok());
  CHECK((clock_of(g, "fb_conv") == Clock{1, 0}));
  CHECK((clock_of(g, "cat") == Clock{2, 0}));
  const Graph pipe = g.wire(Wiring::pipelined, {{"a"}, {"fb*", "cat", "top"}}).value();
  CHECK((clock_of(pipe, "fb") == Clock{1, 1}));
  CHECK_EQ(delay(pipe, "fb", 0), 1);
  expect_error(g.wire(Wiring::pipelined, {{"a", "fb*", "cat"}, {"top"}}).status(),
               {"'top' (stage 1)", "'fb' (stage 0)", "'fb' -> 'fb_conv' -> 'cat' -> 'top' -> 'fb'",
                "ticks=2"});
  CHECK(g.wire(Wiring::predictive, {{"a", "fb*", "cat"}, {"top"}}).ok());
}

TEST(stage_lists_are_checked) {
  const Graph g = chain();
  const auto wire = [&](const std::vector<std::vector<std::string>>& s) {
    return g.wire(Wiring::predictive, s).status();
  };
  CHECK(wire({{"frame", "a", "b"}, {"c*", "d"}}).ok());
  CHECK(wire({{}, {"*"}}).ok());
  expect_error(wire({{"a", "b"}, {"c", "d"}}), {"'cat'", "1 unlisted"});
  expect_error(wire({{"a", "b", "nope"}, {"c*", "d"}}), {"'nope'", "unknown"});
  expect_error(wire({{"a", "b", "e*"}, {"c*", "d"}}), {"'e*'"});
  expect_error(wire({{"a", "b", "c"}, {"c*", "d"}}), {"'c'", "twice"});
  expect_error(wire({{"a", "b"}, {}, {"c*", "d"}}), {"stage 1 is empty"});
  expect_error(wire({{"a"}, {"frame", "b", "c*", "d"}}), {"'frame'"});
  expect_error(wire({{"b", "c*", "d"}, {"a"}}), {"'a' (stage 1) -> 'b' (stage 0)"});
  expect_error(wire({}), {"stage lists"});
  expect_error(g.wire(Wiring::predictive, 5).status(), {"5 stages", "1 to 4"});
  expect_error(g.wire(Wiring::predictive, 0).status(), {"0 stages"});
  expect_error(g.wire(Wiring::predictive, 2, {{"a", 1.0}}).status(), {"'b'"});
  expect_error(g.wire(Wiring::predictive, 2, {{"a", -1.0}}).status(), {"'a'"});
  expect_error(g.wire(Wiring::predictive, 2, {{"zz", 1.0}}).status(), {"'zz'"});
}

TEST(bad_nodes_leave_the_graph_as_it_was) {
  Graph g = chain();
  const std::string before = g.to_json();
  for (
      const char* spec : {
          "",
          "[]",
          "{}",
          R"({"op":1})",
          R"({"op":"conv4d"})",
          R"({"op":"conv3d","x":1})",
          R"({"op":"conv3d","inputs":["a"]})",
          R"({"op":"conv3d","inputs":"a","attrs":{"out":1}})",
          R"({"op":"conv3d","inputs":["zz"],"attrs":{"out":1}})",
          R"({"op":"conv3d","inputs":["a","b"],"attrs":{"out":1}})",
          R"({"op":"conv3d","inputs":[1],"attrs":{"out":1}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":0}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1.5}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1e12}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1,"kernel":[1,2]}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1,"kernel":[1,99,1]}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1,"kernels":[1,1,1]}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1,"groups":3}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1,"act":"softmax"}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1,"act":"tan"}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1,"phase":1}})",
          R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1},"stage":1})",
          R"({"op":"conv3d","name":"a","inputs":["a"],"attrs":{"out":1}})",
          R"({"op":"conv3d","name":"a.b","inputs":["a"],"attrs":{"out":1}})",
          R"({"op":"conv3d","name":"1a","inputs":["a"],"attrs":{"out":1}})",
          R"({"op":"max_pool","inputs":["a"],"attrs":{"kernel":[1,2,2],"padding":[2,2]}})",
          R"({"op":"add","inputs":["a"]})",
          R"({"op":"add","inputs":["a","frame"]})",
          R"({"op":"mul","inputs":["a","frame"]})",
          R"({"op":"concat","inputs":[]})",
          R"({"op":"act","inputs":["a"]})",
          R"({"op":"upsample","inputs":["a"]})",
          R"({"op":"linear","inputs":["a"]})",
          R"({"op":"delay","inputs":["a"],"attrs":{"ticks":-1}})",
          R"({"op":"delay","inputs":["a"],"attrs":{"ticks":1000001}})",
          R"({"op":"normalize","inputs":["a"],"attrs":{"mean":[1],"std":[1]}})",
          R"({"op":"normalize","inputs":["a"],"attrs":{"mean":[1,1,1,1],"std":[1,1,1,0]}})",
          R"({"op":"pad","inputs":["a"],"attrs":{"padding":[1,1],"padding_end":[-90,0]}})",
          R"({"op":"pad","inputs":["a"],"attrs":{"padding":[-1,0],"pad_mode":"replicate"}})",
          R"({"op":"pad","inputs":["a"],"attrs":{"padding":[99,0],"pad_mode":"reflect"}})",
          R"({"op":"pad","inputs":["a"],"attrs":{"padding":[1,1],"pad_mode":"reflect","value":1}})",
          R"({"op":"pad","inputs":["a"],"attrs":{"padding":[1,1],"pad_mode":"circular"}})",
          R"({"op":"pad","inputs":["a"],"attrs":{"padding":[1,1],"value":1e300}})",
          R"({"op":"pad","inputs":["a"],"attrs":{"padding":[65536,65536]}})",
          R"({"op":"channel_select","inputs":["a"]})",
          R"({"op":"channel_select","inputs":["a"],"attrs":{"index":[]}})",
          R"({"op":"channel_select","inputs":["a"],"attrs":{"index":[0,4]}})",
          R"({"op":"channel_select","inputs":["a"],"attrs":{"index":[0,-1]}})",
          R"({"op":"depth_to_space","inputs":["a"],"attrs":{"block":3}})",
          R"({"op":"depth_to_space","inputs":["a"],"attrs":{"block":0}})",
          R"({"op":"space_to_depth","inputs":["a"],"attrs":{"block":7}})",
          R"({"op":"space_to_depth","inputs":["a"],"attrs":{"block":257}})",
          R"({"op":"group_norm","inputs":["a"],"attrs":{"groups":3}})",
          R"({"op":"group_norm","inputs":["a"],"attrs":{"act":"softmax"}})",
          R"({"op":"group_norm","inputs":["a","a"]})",
          R"({"op":"layer_norm","inputs":["a"],"attrs":{"norm_eps":-1}})",
          R"({"op":"layer_norm","inputs":["a"],"attrs":{"groups":2}})",
          R"({"op":"upsample","inputs":["a"],"attrs":{"size":[4,4],"align_corners":true}})",
          R"({"op":"feedback","inputs":["a"]})",
          R"({"op":"feedback","name":"f","inputs":["f"],"attrs":{"channels":1,"height":1,"width":1}})",
          R"({"op":"feedback","inputs":["a"],"attrs":{"channels":1,"height":1,"width":1,"ticks":0}})",
          R"({"op":"input","inputs":["a"],"attrs":{"channels":1,"height":1,"width":1}})",
          R"({"op":"input","attrs":{"channels":1000000,"height":65536,"width":65536}})",
          R"({"op":"input","attrs":{"channels":2,"height":1,"width":1,"mean":[1]}})",
      }) {
    const Result<int> r = g.add(spec);
    if (r.ok()) check::fail(__FILE__, __LINE__, std::string("accepted: ") + spec);
    expect_error(r.status(), {});
    CHECK_EQ(g.to_json(), before);
  }
  expect_error(g.set_output("out", "a"), {"'out'"});
  expect_error(g.set_output("o2", "zz"), {"'zz'"});
  expect_error(g.wire(Wiring::predictive, 2).value().add(kInput).status(), {"wired already"});
}

TEST(incomplete_graphs_are_refused) {
  Graph g;
  expect_error(g.check(), {"no input"});
  add(g, kInput);
  expect_error(g.check(), {"no output"});
  expect_error(g.resolved_json().status(), {"no output"});
  add(g,
      R"({"op":"feedback","name":"fb","inputs":["self"],"attrs":{"channels":1,"height":1,"width":1}})");
  add(g, R"({"op":"act","name":"self","inputs":["fb"],"attrs":{"act":"relu"}})");
  CHECK(g.set_output("out", "self").ok());
  expect_error(g.check(), {"depends on no input"});
  Graph h = chain();
  add(h,
      R"({"op":"feedback","name":"fb","inputs":["d"],"attrs":{"channels":9,"height":1,"width":1}})");
  expect_error(h.check(), {"'fb'", "[9, 1, 1]", "[4, 16, 20]"});
}

TEST(periods_that_never_repeat_are_refused) {
  Graph g;
  add(g, kInput);
  for (const int p : {7, 11, 13, 17, 19}) conv(g, "p" + std::to_string(p), "frame", 1, 1, p);
  CHECK(g.set_output("out", "p7").ok());
  expect_error(g.check(), {"hyper-period"});
  Graph h;
  add(h, kInput);
  conv(h, "a", "frame", 1, 1, 4096);
  expect_error(
      h.add(R"({"op":"conv3d","inputs":["a"],"attrs":{"out":1,"stride":[2,1,1]}})").status(),
      {"8192"});
}

TEST(documents_round_trip) {
  for (const Wiring w : {Wiring::sequential, Wiring::pipelined, Wiring::predictive}) {
    const Graph g = chain().wire(w, 3).value();
    const Result<Graph> r = Graph::from_json(g.to_json());
    CHECK(r.ok());
    CHECK_EQ(r.value().to_json(), g.to_json());
    CHECK_EQ(r.value().resolved_json().value(), g.resolved_json().value());
  }
}

TEST(damaged_documents_are_refused) {
  const std::string good = chain().wire(Wiring::predictive, 2).value().to_json();
  const auto with = [&](const char* from, const char* to) {
    std::string s = good;
    const size_t at = s.find(from);
    if (at == std::string::npos) check::fail(__FILE__, __LINE__, std::string("no ") + from);
    return Graph::from_json(s.replace(at, std::strlen(from), to)).status();
  };
  expect_error(with("pvnet-graph", "other"), {"no graph"});
  expect_error(with("\"version\":1", "\"version\":3"), {"version", "Update pvnet"});
  expect_error(with("\"predictive\"", "\"fast\""), {"'fast'"});
  expect_error(with("\"wiring\"", "\"writing\""), {"wiring"});
  expect_error(with("\"stage\":1", "\"stage\":7"), {"stage"});
  expect_error(with("\"stage\":0", "\"stage\":1"), {"'frame'"});
  expect_error(with("[\"frame\"]", "[\"d\"]"), {"cycle", "'d'", "'a'"});
  expect_error(with("[\"frame\"]", "[\"a\"]"), {"cycle", "'a' <- 'a'"});
  expect_error(with("\"node\":\"d\"", "\"node\":\"q\""), {"'q'"});
  expect_error(Graph::from_json("[]").status(), {});
  expect_error(Graph::from_json("").status(), {});
  Graph forward;
  expect_error(
      Graph::from_json(
          R"({"format":"pvnet-graph","version":1,"wiring":"sequential","nodes":[)"
          R"({"name":"r","op":"act","inputs":["x"],"attrs":{"act":"relu"}},)"
          R"({"name":"x","op":"input","attrs":{"channels":1,"height":1,"width":1}}],"outputs":[]})")
          .status(),
      {"order", "'r' before 'x'"});
}

TEST(mutated_documents_never_crash) {
  Graph g = chain();
  add(g,
      R"({"op":"feedback","name":"fb","inputs":["d"],"attrs":{"channels":4,"height":16,"width":20}})");
  add(g,
      R"({"op":"upsample","name":"up","inputs":["fb"],"attrs":{"size":[4,4],"mode":"bilinear"}})");
  const std::string seed = g.wire(Wiring::predictive, 3).value().to_json();
  std::mt19937 rng(2);
  int accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = seed;
    for (uint32_t k = rng() % 3 + 1; k > 0; --k) {
      const size_t at = rng() % text.size();
      switch (rng() % 4) {
        case 0:
          text[at] = static_cast<char>(rng());
          break;
        case 1:
          text[at] = static_cast<char>('0' + rng() % 10);
          break;
        case 2:
          text.erase(at, rng() % 4);
          break;
        default:
          text.insert(at, std::to_string(rng() % 100000));
      }
    }
    const Result<Graph> r = Graph::from_json(text);
    if (!r.ok()) {
      if (!well_formed(r.status())) check::fail(__FILE__, __LINE__, r.status().message());
      continue;
    }
    ++accepted;
    CHECK_EQ(Graph::from_json(r.value().to_json()).value().to_json(), r.value().to_json());
    (void)r.value().resolved_json().ok();
  }
  CHECK(accepted > 50);
}

TEST(words_of_every_enumeration) {
  for (int i = 0; i <= static_cast<int>(Op::feedback); ++i) {
    const Op op = static_cast<Op>(i);
    CHECK(op_from_string(to_string(op)).value() == op);
  }
  expect_error(op_from_string("x").status(), {"conv3d"});
  expect_error(act_from_string("x").status(), {"relu"});
  expect_error(interp_from_string("x").status(), {"bilinear"});
  expect_error(wiring_from_string("x").status(), {"pipelined"});
}
