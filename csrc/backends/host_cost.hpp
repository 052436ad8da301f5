// SPDX-License-Identifier: Apache-2.0
// About how long an operation takes on the kernels of a host: what the lanes of a tick are levelled
// by. Stages are cut by graph/cost_model.hpp instead, which knows no kernels: so a file's stages
// stay, whatever kernels become.
#pragma once

#include <vector>

#include "backends/kernel_api.hpp"
#include "graph/graph.hpp"

namespace pvnet {

// Of one firing of node n, in multiply-adds of a good dense convolution; conv: of conv3d and
// linear, with its algorithm.
double host_cost(const HostKernels* kernels, const std::vector<Node>& nodes, int n,
                 const ConvShape& conv);

// What tiles take of their operation: of every `line` of them the last ones may be narrower.
struct TileShares {
  int line = 1, wide = 1;
  double each = 0;   // share of one of the first `wide` of a line
  double later = 0;  // share of one of the others

  double before(int tile) const { return tile / line * in_line(line) + in_line(tile % line); }

 private:
  double in_line(int tiles) const {
    return tiles <= wide ? each * tiles : each * wide + later * (tiles - wide);
  }
};
// kernels: nullptr where there are none on the host; conv: of conv3d and linear, else nullptr.
TileShares tile_shares(const HostKernels* kernels, const ConvShape* conv, int tiles);

}  // namespace pvnet
