// SPDX-License-Identifier: Apache-2.0
// Balanced cuts and temporal facts. tests/graph/ compares the facts with a simulation in Python.
#include <algorithm>
#include <functional>
#include <random>

#include "check.hpp"
#include "graph/analysis.hpp"
#include "graph/partition.hpp"

using namespace pvnet;

namespace {

double largest(const std::vector<double>& costs, const std::vector<size_t>& begins) {
  double most = 0;
  for (size_t p = 0; p < begins.size(); ++p) {
    const size_t end = p + 1 < begins.size() ? begins[p + 1] : costs.size();
    double sum = 0;
    for (size_t i = begins[p]; i < end; ++i) sum += costs[i];
    most = std::max(most, sum);
  }
  return most;
}

double best_of_all(const std::vector<double>& costs, size_t begin, size_t k) {
  double sum = 0;
  if (k == 1) {
    for (size_t i = begin; i < costs.size(); ++i) sum += costs[i];
    return sum;
  }
  double best = 1e300;
  for (size_t end = begin + 1; end + (k - 1) <= costs.size(); ++end) {
    sum += costs[end - 1];
    best = std::min(best, std::max(sum, best_of_all(costs, end, k - 1)));
  }
  return best;
}

void add(Graph& g, const std::string& json) {
  const auto r = g.add(json);
  if (!r.ok()) check::fail(__FILE__, __LINE__, r.status().message());
}

Graph with_delay(int ticks) {
  Graph g;
  add(g, R"({"op":"input","name":"x","attrs":{"channels":1,"height":4,"width":4}})");
  add(g, R"({"op":"delay","name":"d","inputs":["x"],"attrs":{"ticks":)" + std::to_string(ticks) +
             "}}");
  add(g, R"({"op":"concat","name":"c","inputs":["x","d"]})");
  add(g,
      R"({"op":"conv3d","name":"y","inputs":["c"],"attrs":{"out":1,"kernel":[3,1,1],"stride":[2,1,1]}})");
  if (!g.set_output("y", "y").ok()) check::fail(__FILE__, __LINE__, "no output");
  return g;
}

}  // namespace

TEST(cuts_are_optimal_and_leave_no_stage_empty) {
  std::mt19937 rng(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<double> costs(rng() % 9 + 1);
    for (double& c : costs) c = rng() % 4 == 0 ? 0 : rng() % 20;
    const size_t k = rng() % costs.size() + 1;
    const auto begins = balanced_cuts(costs, k);
    CHECK_EQ(begins.size(), k);
    CHECK_EQ(begins[0], size_t{0});
    CHECK(std::adjacent_find(begins.begin(), begins.end(), std::greater_equal<>()) == begins.end());
    CHECK(begins.back() < costs.size());
    CHECK_EQ(largest(costs, begins), best_of_all(costs, 0, k));
  }
}

TEST(facts_of_a_delayed_branch) {
  const Graph g = with_delay(5);
  const Analysis a = analyse(g).value();
  CHECK_EQ(a.hyper_period, 2);
  CHECK_EQ(a.outputs[0].information_latency_ticks, 0);
  CHECK_EQ(a.outputs[0].warm_up_ticks, 6);  // due at even ticks, the delayed frame is there from 5
  CHECK_EQ(a.outputs[0].receptive_field_frames, 5 + 3);
  CHECK_EQ(a.outputs[0].age_ticks.size(), static_cast<size_t>(a.settle_ticks + 2));
  CHECK_EQ(a.outputs[0].age_ticks[0][0], 0);
  CHECK_EQ(a.outputs[0].age_ticks[1][0], 1);
}

TEST(long_delays_are_analysed_or_refused) {
  const Graph g = with_delay(1'000'000);
  CHECK_EQ(analyse(g, false).value().outputs[0].receptive_field_frames, 1'000'003);
  CHECK(g.resolved_json().ok());
  Graph many = with_delay(1'000'000);
  std::string last = "d";
  for (int i = 0; i < 60; ++i) {
    const std::string name = "d" + std::to_string(i);
    add(many, R"({"op":"delay","name":")" + name + R"(","inputs":[")" + last +
                  R"("],"attrs":{"ticks":1000000}})");
    last = name;
  }
  CHECK(many.set_output("far", last).ok());
  const auto r = analyse(many);
  CHECK(!r.ok());
  CHECK(r.status().message().find("too large to analyse") != std::string::npos);
}

TEST(feedback_has_no_bounded_receptive_field) {
  Graph g;
  add(g, R"({"op":"input","name":"x","attrs":{"channels":1,"height":1,"width":1}})");
  add(g,
      R"({"op":"feedback","name":"fb","inputs":["y"],"attrs":{"channels":1,"height":1,"width":1}})");
  add(g, R"({"op":"add","name":"y","inputs":["x","fb"]})");
  CHECK(g.set_output("y", "y").ok());
  CHECK(g.set_output("x", "x").ok());
  const Analysis a = analyse(g).value();
  CHECK_EQ(a.outputs[0].receptive_field_frames, 0);
  CHECK_EQ(a.outputs[1].receptive_field_frames, 1);
  CHECK_EQ(a.outputs[0].warm_up_ticks, 0);
}
