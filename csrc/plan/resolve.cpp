// SPDX-License-Identifier: Apache-2.0
#include "plan/resolve.hpp"

#include "graph/firing.hpp"
#include "plan/op_params.hpp"

namespace pvnet {
namespace {

void append_segments(const Graph& graph, const Edge& edge, const std::vector<int>& value_of,
                     std::vector<Hop> hops, std::vector<Segment>& out) {
  const Node& src = graph.nodes()[edge.src];
  hops.push_back({src.clock, edge.delay});
  if (!is_virtual(src.op)) {
    out.push_back({value_of[edge.src], src.shape.c, std::move(hops)});
    return;
  }
  for (const Edge& inner : src.inputs) append_segments(graph, inner, value_of, hops, out);
}

}  // namespace

std::vector<Segment> segments_of(const Graph& graph, const Edge& edge,
                                 const std::vector<int>& value_of) {
  std::vector<Segment> out;
  append_segments(graph, edge, value_of, {}, out);
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
