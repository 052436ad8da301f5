// SPDX-License-Identifier: Apache-2.0
// ldmatrix and mma.sync: what the 32 lanes of a warp bring, and what they get.
#pragma once

#include <cstdint>

#include "kernels/program.h"

namespace shim {

struct LoadMatrices {
  const void* row;  // of 16 bytes; lane i has row i % 8 of matrix i / 8
  uint32_t out[4];
};
void load_matrices(LoadMatrices** lanes);

// d[i][j] += a[i] * b[j], of 16 x 8 elements each and 32 bytes of k.
struct Multiply {
  float (*d)[4][4];        // [2]
  const uint32_t (*a)[4];  // [2]
  const uint32_t (*b)[4];  // [2]: of b[2 * i] and b[2 * i + 1]
};
void multiply(pv_dtype dtype, Multiply** lanes);

}  // namespace shim
