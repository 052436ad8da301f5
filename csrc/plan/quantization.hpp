// SPDX-License-Identifier: Apache-2.0
// Plans of dtype int8: which maps are stored in 8 bits, with which scale, and which convolutions
// compute over them. All follows from the graph and CompileOptions::ranges.
//
// A convolution or linear node is of 8 bits where all that it reads have ranges. Others read f32
// and store it. So do softmax and norms, and what only an output reads. All else that has a range
// stores 8 bits. What only moves values keeps the scale of its source.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.hpp"

namespace pvnet {

// Of what lies between low and high: 0 is 0, and the wider side decides.
Stored stored_for(ValueRange range);

// Names, numbers, and whether there are ranges where the dtype asks for them.
Status check_ranges(const Graph& graph, const CompileOptions& options);

class Quantization {
 public:
  // Of a checked graph and options. Without dtype int8 nothing has 8 bits.
  Quantization(const Graph& graph, const CompileOptions& options);

  bool active() const { return active_; }
  // How the op of a node with memory (or a frame) stores what it computes.
  const Stored& computed(int node) const { return at(node).computed; }
  // How a map of 8 bits of it stores, where its own is of f32.
  const Stored& range(int node) const { return at(node).range; }
  // Of conv3d and linear.
  bool is_int8(int node) const { return at(node).int8; }
  // What `reader` reads of `source`, a node with memory.
  Stored read(int reader, int source) const;

 private:
  struct Of {         // a node
    Stored range;     // by its range; f32: it has none, or cannot have 8 bits
    Stored computed;  // what it stores
    bool convolves = false;
    bool int8 = false;
    bool moves_only = false;
  };
  const Of& at(int node) const { return of_[static_cast<size_t>(node)]; }
  void find_convolutions(const Graph& graph);
  void keep_scales(const Graph& graph);
  // Nodes with memory that `from` reads.
  template <class F>
  void for_sources(const Graph& graph, int from, const F& f);

  bool active_ = false;
  std::vector<Of> of_;
  std::vector<int> seen_;  // by whom, in a walk over nodes without memory
  int walk_ = 0;
};

}  // namespace pvnet
