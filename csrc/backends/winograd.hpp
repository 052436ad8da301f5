// SPDX-License-Identifier: Apache-2.0
// Winograd's minimal filtering F(m x m, 3 x 3) after Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks" (2015): of a tile of (m + 2)^2 inputs m^2 outputs are
//
//   A^T [ sum over channels of (G g G^T) * (B^T d B) ] A
//
// with the products taken point by point. Here are the weights, G g G^T, that packing and the proof
// of a plan have in common; B and A are the kernels' own (cpu/generic/winograd_transform.inl).
#pragma once

namespace pvnet {

// kernel: [3][3], points: [(m + 2)^2], m = 2 or 4. Computed in double and rounded once. Not inline:
// one compiled copy, so that its bits are the same for all who call it.
void winograd_weights(int m, const float* kernel, float* points);

}  // namespace pvnet
