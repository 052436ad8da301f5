// SPDX-License-Identifier: Apache-2.0
// In which wave a chain of levels begins.
#include "check.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include "plan/waves.hpp"

using namespace pvnet;

namespace {

using Chains = std::vector<std::vector<double>>;

// Costs of the waves, and how many there are.
std::vector<double> waves_of(const Chains& chains, const std::vector<size_t>& starts) {
  std::vector<double> waves;
  for (size_t c = 0; c < chains.size(); ++c) {
    if (waves.size() < starts[c] + chains[c].size()) waves.resize(starts[c] + chains[c].size());
    for (size_t l = 0; l < chains[c].size(); ++l) waves[starts[c] + l] += chains[c][l];
  }
  return waves;
}

}  // namespace

TEST(a_short_chain_goes_beside_light_levels) {
  CHECK((wave_starts({{9, 1, 1, 9}, {5, 5}}) == std::vector<size_t>{0, 1}));
  CHECK((wave_starts({{2}, {1, 7, 7}}) == std::vector<size_t>{0, 0}));
}

TEST(no_chains_and_empty_chains) {
  CHECK(wave_starts({}).empty());
  CHECK((wave_starts({{}, {1, 1}}) == std::vector<size_t>{0, 0}));
}

TEST(as_many_waves_as_the_longest_chain_has_levels) {
  std::mt19937 rng(1);
  const auto pick = [&](int lo, int hi) { return std::uniform_int_distribution(lo, hi)(rng); };
  for (int round = 0; round < 500; ++round) {
    Chains chains(static_cast<size_t>(pick(1, 8)));
    size_t longest = 0;
    for (auto& levels : chains) {
      levels.resize(static_cast<size_t>(pick(1, 9)));
      for (double& l : levels) l = pick(0, 20);
      longest = std::max(longest, levels.size());
    }
    CHECK(waves_of(chains, wave_starts(chains)).size() == longest);
  }
}

// One more chain of a single level lies in the lightest wave.
TEST(a_chain_of_one_level_goes_to_the_lightest_wave) {
  std::mt19937 rng(2);
  const auto pick = [&](int lo, int hi) { return std::uniform_int_distribution(lo, hi)(rng); };
  for (int round = 0; round < 500; ++round) {
    Chains chains(static_cast<size_t>(pick(1, 4)));
    for (auto& levels : chains) {
      levels.resize(static_cast<size_t>(pick(1, 9)));
      for (double& l : levels) l = pick(1, 20);
    }
    const std::vector<double> before = waves_of(chains, wave_starts(chains));
    chains.push_back({0.5});
    const size_t start = wave_starts(chains).back();
    CHECK(before[start] == *std::min_element(before.begin(), before.end()));
  }
}
