// SPDX-License-Identifier: Apache-2.0
#include "plan/resolve.hpp"

#include <utility>

#include "graph/firing.hpp"
#include "plan/op_params.hpp"

namespace pvnet {
namespace {

// Of two hops of one period p, nearer and farther: at the nearer's firing f, which is at tick
// origin + f p, the farther one's firing is f + `shift`, and `rest` ticks in [0, p) pass unused.
struct Shift {
  int64_t shift = 0, rest = 0;
};

Shift shift_of(const Hop& near, const Hop& far) {
  const int64_t p = far.clock.period;
  const int64_t ticks = near.clock.origin - far.delay - far.clock.origin;
  const int64_t shift = floor_div(ticks, p);
  return {shift, ticks - shift * p};
}

}  // namespace

// A read arrives at hop a at tick t; a's firing is f = floor((t - delay - origin) / period), less
// the taps back where a is the nearest hop, and where f < 0 there is nothing.
//
// 1. a then b, one period p, shift <= 0. b's firing is f + shift, and where it exists, f does too.
//    It is floor((t - (delay_a + delay_b + rest) - origin_b) / p), less the same taps: one hop.
// 2. z then a then b, z and a of one period, shift from z to a >= 0. Where f_z exists, f_a does
// too.
//    a fires at the tick of z's firing less (delay_a + rest), so b may read from z at once.
//
// Two hops of one period that rule 1 leaves have a shift >= 1, so rule 2 takes the second away as
// soon as another one follows. Periods do not fall along a way (a concat has its fastest input's)
// and divide one another: 1 to 4096 are at most 13, with two hops each.
void append_hop(std::vector<Hop>& hops, Hop hop) {
  while (!hops.empty()) {
    const Hop near = hops.back();
    if (near.clock.period == hop.clock.period) {
      const Shift s = shift_of(near, hop);
      if (s.shift <= 0) {
        hop.delay += near.delay + s.rest;
        hops.pop_back();
        continue;
      }
    }
    if (hops.size() < 2 || hops[hops.size() - 2].clock.period != near.clock.period) break;
    hop.delay += near.delay + shift_of(hops[hops.size() - 2], near).rest;
    hops.pop_back();
  }
  hops.push_back(hop);
}

Reads::Reads(const Graph& graph, std::vector<int> value_of)
    : graph_(graph),
      value_of_(std::move(value_of)),
      counts_(graph.nodes().size(), 1),
      ways_(graph.nodes().size()) {
  const auto& nodes = graph_.nodes();
  for (const int n : virtual_nodes_in_order()) {
    counts_[n] = 0;
    for (const Edge& e : nodes[n].inputs) counts_[n] += counts_[e.src];
    if (nodes[n].inputs.size() != 1) continue;
    const Edge& e = nodes[n].inputs[0];
    Way& way = ways_[n];
    way.node = e.src;
    way.hops.push_back({nodes[e.src].clock, e.delay});
    const Way& on = ways_[e.src];
    if (on.node < 0) continue;
    for (const Hop& hop : on.hops) append_hop(way.hops, hop);
    way.node = on.node;
  }
}

// Each behind those that it reads; only feedback reads later nodes, and check() has seen that they
// make no circle.
std::vector<int> Reads::virtual_nodes_in_order() const {
  const auto& nodes = graph_.nodes();
  std::vector<int> order;
  std::vector<bool> seen(nodes.size(), false);
  std::vector<std::pair<int, size_t>> way;  // node, its next input
  const auto enter = [&](int n) {
    if (!is_virtual(nodes[n].op) || seen[n]) return;
    seen[n] = true;
    way.emplace_back(n, 0);
  };
  for (size_t start = 0; start < nodes.size(); ++start) {
    enter(static_cast<int>(start));
    while (!way.empty()) {
      auto& [n, next] = way.back();
      if (next < nodes[n].inputs.size()) {
        enter(nodes[n].inputs[next++].src);
        continue;
      }
      order.push_back(n);
      way.pop_back();
    }
  }
  return order;
}

Size Reads::count(const Edge& edge) const { return counts_[edge.src]; }

std::vector<Segment> Reads::segments(const Edge& edge) const {
  const auto& nodes = graph_.nodes();
  struct Branch {  // a concat on the way
    int node;
    size_t next;
    std::vector<Hop> hops;
  };
  std::vector<Segment> out;
  std::vector<Branch> way;
  const auto follow = [&](const Edge& e, std::vector<Hop> hops) {
    int n = e.src;
    append_hop(hops, {nodes[n].clock, e.delay});
    if (ways_[n].node >= 0) {
      for (const Hop& hop : ways_[n].hops) append_hop(hops, hop);
      n = ways_[n].node;
    }
    if (is_virtual(nodes[n].op)) {
      way.push_back({n, 0, std::move(hops)});
    } else {
      hops.shrink_to_fit();
      out.push_back({value_of_[n], nodes[n].shape.c, std::move(hops)});
    }
  };
  follow(edge, {});
  while (!way.empty()) {
    Branch& at = way.back();
    const auto& inputs = nodes[at.node].inputs;
    if (at.next == inputs.size()) {
      way.pop_back();
    } else {
      const Edge& e = inputs[at.next++];
      follow(e, at.hops);  // may move `at`
    }
  }
  return out;
}

int64_t resolve_firing(const Segment& segment, int64_t tick, int64_t taps_back) {
  int64_t firing = -1;
  for (const Hop& hop : segment.hops) {
    firing = firing_at(hop.clock, tick, hop.delay) - taps_back;
    if (firing < 0) return -1;
    tick = hop.clock.origin + firing * hop.clock.period;
    taps_back = 0;
  }
  return firing;
}

int64_t resolve_firing_settled(const Segment& segment, int64_t tick, int64_t taps_back) {
  int64_t firing = 0;
  for (const Hop& hop : segment.hops) {
    firing = firing_at(hop.clock, tick, hop.delay) - taps_back;
    tick = hop.clock.origin + firing * hop.clock.period;
    taps_back = 0;
  }
  return firing;
}

}  // namespace pvnet
