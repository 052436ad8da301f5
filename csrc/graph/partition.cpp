// SPDX-License-Identifier: Apache-2.0
#include "graph/partition.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <queue>

#include "graph/errors.hpp"
#include "graph/infer.hpp"

namespace pvnet {

namespace {

constexpr const char* kWhere = "Graph.wire";

// Parts a greedy walk needs so that no sum exceeds `limit`; it needs the fewest of all.
size_t parts_needed(const std::vector<double>& costs, double limit) {
  size_t parts = 1;
  double sum = 0;
  for (const double c : costs) {
    if (c > limit) return std::numeric_limits<size_t>::max();
    if (sum + c > limit) {
      ++parts;
      sum = 0;
    }
    sum += c;
  }
  return parts;
}

// The smallest limit that k parts can keep. Non-negative doubles are ordered like their bits, so
// bisecting the bits ends at the exact double.
double smallest_limit(const std::vector<double>& costs, size_t k) {
  double total = 0;
  for (const double c : costs) total += c;
  uint64_t lo = 0;
  uint64_t hi = std::bit_cast<uint64_t>(total);
  while (lo < hi) {
    const uint64_t mid = lo + (hi - lo) / 2;
    if (parts_needed(costs, std::bit_cast<double>(mid)) <= k) {
      hi = mid;
    } else {
      lo = mid + 1;
    }
  }
  return std::bit_cast<double>(lo);
}

// Where to cut [begin, end) so that the larger half is as small as possible.
size_t best_cut(const std::vector<double>& costs, size_t begin, size_t end) {
  double right = 0;
  for (size_t i = begin; i < end; ++i) right += costs[i];
  double left = 0;
  double best = std::numeric_limits<double>::infinity();
  size_t cut = begin + 1;
  for (size_t i = begin; i + 1 < end; ++i) {
    left += costs[i];
    right -= costs[i];
    if (std::max(left, right) < best) {
      best = std::max(left, right);
      cut = i + 1;
    }
  }
  return cut;
}

// Cuts the dearest part that can be cut, the first of equals, until there are k.
void split_until(const std::vector<double>& costs, size_t k, std::vector<size_t>& begins) {
  struct Part {
    double sum;
    size_t begin, end;
    bool operator<(const Part& other) const {  // the top of the queue is the largest
      return sum != other.sum ? sum < other.sum : begin > other.begin;
    }
  };
  std::priority_queue<Part> parts;
  const auto put = [&](size_t begin, size_t end) {
    if (end - begin < 2) return;
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += costs[i];
    parts.push({sum, begin, end});
  };
  for (size_t p = 0; begins.size() < k && p < begins.size(); ++p) {
    put(begins[p], p + 1 < begins.size() ? begins[p + 1] : costs.size());
  }
  while (begins.size() < k) {
    const Part part = parts.top();
    const size_t cut = best_cut(costs, part.begin, part.end);
    begins.push_back(cut);
    parts.pop();
    put(part.begin, cut);
    put(cut, part.end);
  }
  std::sort(begins.begin(), begins.end());
}

// Free nodes go with their first consumer, so that each of their inputs is delayed on its own and
// arrives as new as the wiring allows; with their last input where nothing consumes them.
void assign_free_nodes(const std::vector<Node>& nodes, std::vector<int>& stage) {
  constexpr int kNone = std::numeric_limits<int>::max();
  std::vector<int> first_consumer(nodes.size(), kNone);
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (!is_free(nodes[n].op)) continue;
    stage[n] = 0;
    for (const Edge& e : nodes[n].inputs) {
      if (!e.feedback) stage[n] = std::max(stage[n], stage[static_cast<size_t>(e.src)]);
    }
  }
  for (size_t n = nodes.size(); n-- > 0;) {
    if (is_free(nodes[n].op) && nodes[n].op != Op::input && first_consumer[n] != kNone) {
      stage[n] = first_consumer[n];
    }
    for (const Edge& e : nodes[n].inputs) {
      if (e.feedback) continue;
      int& first = first_consumer[static_cast<size_t>(e.src)];
      first = std::min(first, stage[n]);
    }
  }
}

}  // namespace

std::vector<size_t> balanced_cuts(const std::vector<double>& costs, size_t k) {
  const double limit = smallest_limit(costs, k);
  std::vector<size_t> begins{0};
  double sum = 0;
  for (size_t i = 0; i < costs.size(); ++i) {
    if (sum + costs[i] > limit) {
      begins.push_back(i);
      sum = 0;
    }
    sum += costs[i];
  }
  split_until(costs, k, begins);
  return begins;
}

Result<std::vector<int>> partition(const std::vector<Node>& nodes, int k,
                                   const std::vector<double>& cost) {
  std::vector<double> costs;
  std::vector<size_t> items;
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (is_free(nodes[n].op)) continue;
    items.push_back(n);
    costs.push_back(cost[n]);
  }
  std::vector<int> stage(nodes.size(), 0);
  if (k == 1) return stage;
  if (k < 1 || static_cast<size_t>(k) > items.size()) {
    return failed(Code::invalid_argument, kWhere, "the graph cannot be cut into so many stages",
                  std::to_string(k) + " stages",
                  "1 to " + std::to_string(std::max<size_t>(1, items.size())) +
                      " (the nodes that compute something)",
                  "Ask for fewer stages.");
  }
  const std::vector<size_t> begins = balanced_cuts(costs, static_cast<size_t>(k));
  for (size_t p = 0, i = 0; i < items.size(); ++i) {
    if (p + 1 < begins.size() && i == begins[p + 1]) ++p;
    stage[items[i]] = static_cast<int>(p);
  }
  assign_free_nodes(nodes, stage);
  return stage;
}

Result<std::vector<int>> stages_from_lists(const std::vector<Node>& nodes,
                                           const std::vector<std::vector<std::string>>& lists) {
  std::vector<int> stage(nodes.size(), -1);
  std::map<std::string_view, size_t> index;
  for (size_t n = 0; n < nodes.size(); ++n) {
    index[nodes[n].name] = n;
    if (nodes[n].op == Op::input) stage[n] = 0;
  }
  const auto assign = [&](size_t n, int s, const std::string& entry) -> Status {
    if (stage[n] < 0) {
      stage[n] = s;
      return {};
    }
    return failed(Code::invalid_argument, kWhere,
                  "node " + quoted(nodes[n].name) + " is in the stage lists twice",
                  "entry " + quoted(entry) + " of stage " + std::to_string(s) + " besides stage " +
                      std::to_string(stage[n]),
                  "every node once", "Remove one of the entries.");
  };
  if (lists.empty() || lists.size() > nodes.size()) {
    return failed(Code::invalid_argument, kWhere, "the number of stage lists is wrong",
                  std::to_string(lists.size()), "1 to " + std::to_string(nodes.size()),
                  "Give one list of node names per stage.");
  }
  for (size_t i = 0; i < lists.size(); ++i) {
    const int s = static_cast<int>(i);
    if (lists[i].empty() && i > 0) {  // stage 0 always has the inputs
      return failed(Code::invalid_argument, kWhere, "stage " + std::to_string(s) + " is empty",
                    "no names", "at least one node", "Remove the empty list.");
    }
    for (const std::string& entry : lists[i]) {
      const bool wild = !entry.empty() && entry.back() == '*';
      const std::string_view prefix =
          std::string_view(entry).substr(0, entry.size() - (wild ? 1 : 0));
      size_t found = 0;
      for (auto it = index.lower_bound(prefix);
           it != index.end() && (wild ? it->first.starts_with(prefix) : it->first == prefix);
           ++it) {
        ++found;
        const bool input = nodes[it->second].op == Op::input;
        if (input && (wild || s == 0)) continue;
        PVNET_TRY(assign(it->second, s, entry));
      }
      if (found == 0) {
        return failed(Code::invalid_argument, kWhere,
                      "stage " + std::to_string(s) + " lists an unknown node", quoted(entry),
                      "the name of a node, or a prefix of names that ends with '*'",
                      "Correct the spelling or remove the entry.");
      }
    }
  }
  std::string missing;
  size_t count = 0;
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (stage[n] >= 0) continue;
    if (++count <= 10) missing += (count == 1 ? "" : ", ") + quoted(nodes[n].name);
  }
  if (count > 0) {
    return failed(Code::invalid_argument, kWhere, "the stage lists leave out nodes",
                  std::to_string(count) + " unlisted (" + missing + (count > 10 ? ", ...)" : ")"),
                  "every node except the inputs",
                  "Add them to a list, or use a prefix like 'stem*'.");
  }
  return stage;
}

std::vector<int> layer_stages(const Graph& graph) {
  const std::vector<Node>& nodes = graph.nodes();
  const auto computes_nothing = [](Op op) {
    return op == Op::concat || op == Op::delay || op == Op::feedback;
  };
  std::vector<int> stage(nodes.size(), 0);
  const std::vector<int> order = graph.topological_order();
  int next = 0;
  for (const int n : order) {
    const Node& node = nodes[static_cast<size_t>(n)];
    int& s = stage[static_cast<size_t>(n)];
    for (const Edge& e : node.inputs) {
      if (!e.feedback) s = std::max(s, stage[static_cast<size_t>(e.src)]);
    }
    if (node.op == Op::conv3d || node.op == Op::linear) s = next++;
  }
  // Readers come later in the order, so theirs are settled first this way round.
  std::vector<int> first_reader(nodes.size(), -1);
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const auto n = static_cast<size_t>(*it);
    if (computes_nothing(nodes[n].op) && first_reader[n] >= 0) stage[n] = first_reader[n];
    for (const Edge& e : nodes[n].inputs) {
      int& first = first_reader[static_cast<size_t>(e.src)];
      if (!e.feedback && (first < 0 || stage[n] < first)) first = stage[n];
    }
  }
  return stage;
}

}  // namespace pvnet
