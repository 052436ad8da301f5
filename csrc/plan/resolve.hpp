// SPDX-License-Identifier: Apache-2.0
// Reads through virtual nodes: from an edge of the graph to segments of values, and from a tick to
// the firing of a value.
#pragma once

#include <vector>

#include "graph/size.hpp"

#include "plan/plan.hpp"

namespace pvnet {

// Appends a hop behind the others (nearest to the reader first). Hops that a shorter list can say
// with the same firing at every tick and tap, and with nothing at the same ticks, are merged: of
// each period at most two are left, so that a list has at most 26. resolve.cpp has the proof.
void append_hop(std::vector<Hop>& hops, Hop hop);

// Follows the edges of a checked graph. Delays and feedbacks one behind the other are gone through
// once, when this is made, and only concats branch: segments() takes time by what it gives.
class Reads {
 public:
  // value_of[node] is the value of a node with memory.
  Reads(const Graph& graph, std::vector<int> value_of);

  // How many segments an edge reads, to be looked at before they are made.
  Size count(const Edge& edge) const;
  std::vector<Segment> segments(const Edge& edge) const;

 private:
  // Where a virtual node with one input leads to: a node with memory, or a concat.
  struct Way {
    int node = -1;
    std::vector<Hop> hops;  // without the one to the virtual node itself
  };
  std::vector<int> virtual_nodes_in_order() const;

  const Graph& graph_;
  std::vector<int> value_of_;
  std::vector<Size> counts_;
  std::vector<Way> ways_;
};

// As resolve_firing, without the rule that nothing exists before firing 0: for ticks far from the
// start, where all that matters is the distance to the newest firing.
int64_t resolve_firing_settled(const Segment& segment, int64_t tick, int64_t taps_back);

}  // namespace pvnet
