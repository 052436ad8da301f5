// SPDX-License-Identifier: Apache-2.0
// Shapes of operations that move the values of one map elsewhere, and of its norms.
#pragma once

#include "graph/graph.hpp"

namespace pvnet {

// pad, channel_select (of an index that is not empty), depth_to_space, space_to_depth
Status rearranged_shape(const Node& in, Node& n);
// group_norm, layer_norm; and the multiply-adds
Status normed_shape(const Node& in, Node& n);

}  // namespace pvnet
