// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/assignment.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace pvnet::cuda {
namespace {

constexpr size_t kMostStreams = 8;  // more launches than that do not run side by side

void choose_streams(const std::vector<device::Launch>& launches, const StageCosts& costs,
                    Assignment& a) {
  std::vector<std::pair<double, int>> stages;
  for (const auto& [stage, cost] : costs) stages.emplace_back(cost, stage);
  std::sort(stages.rbegin(), stages.rend());
  std::vector<double> load(std::clamp<size_t>(stages.size(), 1, kMostStreams));
  std::map<int, size_t> of_stage;
  for (const auto& [cost, stage] : stages) {
    const auto least = std::min_element(load.begin(), load.end());
    of_stage[stage] = static_cast<size_t>(least - load.begin());
    *least += cost;
  }
  a.streams = load.size();
  for (const device::Launch& l : launches) a.stream.push_back(of_stage[l.stage]);
}

using Launches = std::vector<bool>;  // a set of them

void add(Launches& to, const Launches& more) {
  for (size_t i = 0; i < more.size(); ++i) to[i] = to[i] || more[i];
}

void choose_waits(const std::vector<device::Launch>& launches, Assignment& a) {
  const size_t n = launches.size();
  a.waits.resize(n);
  a.awaited.resize(n);
  a.forks.resize(a.streams);
  a.joins.resize(a.streams);
  std::vector<Launches> done(n, Launches(n));  // once a launch is
  std::vector<size_t> last(a.streams, n);      // of a cuda_stream; n: none
  for (size_t i = 0; i < n; ++i) {
    const size_t own = a.stream[i];
    if (last[own] < n) add(done[i], done[last[own]]);
    std::vector<int> after = launches[i].after;
    std::sort(after.rbegin(), after.rend());  // later ones imply earlier ones
    for (const int before : after) {
      const auto b = static_cast<size_t>(before);
      if (done[i][b]) continue;
      a.waits[i].push_back(b);
      a.awaited[b] = true;
      add(done[i], done[b]);
    }
    if (last[own] == n) a.forks[own] = a.waits[i].empty();
    done[i][i] = true;
    last[own] = i;
  }
  Launches at_end = last[0] < n ? done[last[0]] : Launches(n);
  std::vector<size_t> streams(a.streams);
  std::iota(streams.begin(), streams.end(), size_t{0});
  std::sort(streams.begin(), streams.end(), [&](size_t x, size_t y) { return last[x] > last[y]; });
  for (const size_t s : streams) {
    if (last[s] == n || at_end[last[s]]) continue;
    a.joins[s] = true;
    add(at_end, done[last[s]]);
  }
}

}  // namespace

Assignment assign(const std::vector<device::Launch>& launches, const StageCosts& costs) {
  Assignment a;
  choose_streams(launches, costs, a);
  choose_waits(launches, a);
  return a;
}

}  // namespace pvnet::cuda
