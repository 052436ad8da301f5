// SPDX-License-Identifier: Apache-2.0
// What the proof of a plan costs: near-linear in ops, edges and ticks of the hyper-period. What its
// ops are said to cost.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "backends/host_cost.hpp"
#include "backends/kernel_api.hpp"
#include "plan/plan.hpp"

#include "nets.hpp"

namespace {

using pvnet::Plan;

// Of this thread alone, so that other programs do not count.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double validate_seconds(const Plan& p) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const double begin = cpu_seconds();
    CHECK(pvnet::validate(p).ok());
    best = std::min(best, cpu_seconds() - begin);
  }
  return best;
}

// A chain of relu, behind a delay.
std::shared_ptr<const Plan> chain(int nodes, int delay_ticks) {
  std::vector<std::string> text{
      R"({"op":"input","name":"x","attrs":{"channels":1,"height":1,"width":1}})",
      R"({"op":"delay","name":"d","inputs":["x"],"attrs":{"ticks":)" + std::to_string(delay_ticks) +
          "}}"};
  std::string last = "d";
  for (int i = 0; i < nodes; ++i) {
    const std::string name = "n" + std::to_string(i);
    text.push_back(R"({"op":"act","name":")" + name + R"(","inputs":[")" + last +
                   R"("],"attrs":{"act":"relu"}})");
    last = name;
  }
  const pvnet::Graph g = nets::make(text, last);
  pvnet::CompileOptions o;
  o.lanes = 1;
  return nets::must(Plan::compile(g, pvnet::Weights{}, o));
}

// The estimate for a convolution of a map of 64 channels.
double conv_cost(const std::string& attrs, const std::string& isa = "",
                 const std::string& algorithm = "auto") {
  const pvnet::Graph g =
      nets::make({R"({"op":"input","name":"x","attrs":{"channels":64,"height":28,"width":28}})",
                  R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{)" + attrs + "}}"},
                 "a");
  pvnet::CompileOptions o;
  o.lanes = 1;
  o.isa = isa;
  o.algorithm = algorithm;
  return nets::must(Plan::compile(g, nets::random_weights(g), o))->ops[0].cost;
}

}  // namespace

TEST(channels_that_fill_up_a_vector_cost_what_others_do) {
  for (const char* const* isa = pvnet::cpu_isas(); *isa != nullptr; ++isa) {
    const double three = conv_cost(R"("out":3)", *isa), four = conv_cost(R"("out":4)", *isa);
    CHECK(three < four && three > 0.9 * four);
    CHECK(conv_cost(R"("out":1)", *isa) < 0.9 * three);  // computed apart
    CHECK(conv_cost(R"("out":128)", *isa) > 1.7 * conv_cost(R"("out":64)", *isa));
  }
}

// Of any kernels: the shares of all tiles are 1 together. A tile is no narrower than half, but for
// one or two channels that are computed apart.
TEST(shares_of_tiles_follow_the_channels_of_blocks) {
  bool ragged[2] = {};
  for (const char* const* isa = pvnet::cpu_isas(); *isa != nullptr; ++isa) {
    const pvnet::HostKernels* kernels = pvnet::cpu_kernels(*isa, nullptr);
    for (int out = 1; out < 300; out += 7) {
      pvnet::ConvShape s;
      const int channels = 20;
      s.in_h = s.in_w = s.out_h = s.out_w = out % 2 == 0 ? 9 : 5;  // tiles by rows, or not
      s.in_c = channels;
      s.out_c = out;
      s.seg_c = &channels;
      s.n_segs = 1;
      const int tiles = kernels->conv_tiles(s);
      const pvnet::TileShares shares = pvnet::tile_shares(kernels, &s, tiles);
      CHECK(std::abs(shares.before(tiles) - 1) < 1e-9);
      if (shares.line == 1) continue;
      ragged[pvnet::tiles_by_rows(s)] = true;
      const bool apart = out % 4 == 1 || out % 8 == 2;
      CHECK(shares.later >= (apart ? 0.0 : 0.49) * shares.each && shares.later < shares.each);
    }
  }
  CHECK(ragged[0] && ragged[1]);
}

// A depthwise layer has a 64th of the products and moves as much; tiles take fewer products.
TEST(costs_tell_kernels_apart) {
  const char* const kDense = R"("out":64,"kernel":[1,3,3],"padding":[1,1])";
  const double dense = conv_cost(kDense, "", "direct");
  CHECK(conv_cost(kDense, "", "winograd") < dense);
  const double depthwise =
      conv_cost(R"("out":64,"kernel":[1,3,3],"padding":[1,1],"groups":64)", "", "direct");
  CHECK(depthwise < dense / 10 && depthwise > dense / 64);
}

TEST(a_chain_of_many_ops_is_proved_in_a_time_that_grows_with_its_length) {
  // 16 times as long: some 16 times the time, where every op against every other takes 256 times.
  CHECK(validate_seconds(*chain(8000, 1)) < 80 * validate_seconds(*chain(500, 1)));
}

TEST(a_long_delay_is_proved_without_playing_its_ticks) {
  CHECK(validate_seconds(*chain(50, 2000)) < 100 * validate_seconds(*chain(50, 1)));
}
