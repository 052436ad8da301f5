// SPDX-License-Identifier: Apache-2.0
#include "plan/waves.hpp"

#include <algorithm>
#include <numeric>

namespace pvnet {
namespace {

// The highest wave that a chain takes part in when it starts in wave `start`.
double highest(const std::vector<double>& waves, const std::vector<double>& levels, size_t start) {
  double most = 0;
  for (size_t l = 0; l < levels.size(); ++l) most = std::max(most, waves[start + l] + levels[l]);
  return most;
}

}  // namespace

std::vector<size_t> wave_starts(const std::vector<std::vector<double>>& chains) {
  std::vector<double> sums;
  size_t longest = 0;
  for (const std::vector<double>& levels : chains) {
    sums.push_back(std::accumulate(levels.begin(), levels.end(), 0.0));
    longest = std::max(longest, levels.size());
  }
  std::vector<size_t> order(chains.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sums[a] > sums[b]; });
  std::vector<double> waves(longest);
  std::vector<size_t> starts(chains.size());
  for (const size_t c : order) {
    const std::vector<double>& levels = chains[c];
    double lowest = -1;
    for (size_t start = 0; start + levels.size() <= longest; ++start) {
      const double most = highest(waves, levels, start);
      if (lowest < 0 || most < lowest) lowest = most, starts[c] = start;
    }
    for (size_t l = 0; l < levels.size(); ++l) waves[starts[c] + l] += levels[l];
  }
  return starts;
}

}  // namespace pvnet
