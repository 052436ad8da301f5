// SPDX-License-Identifier: Apache-2.0
// One chain of multiply-adds: the oracle has no peak worth the name.
#include "backends/ref/ops.hpp"

namespace pvnet::ref {

double fma_block(int64_t rounds) {
  float acc = 1.0f;
  for (int64_t r = 0; r < rounds; ++r) acc = acc * 0.999f + 0.001f;
  volatile float sink = acc;  // or the compiler would drop it all
  (void)sink;
  return 2.0 * static_cast<double>(rounds);
}

}  // namespace pvnet::ref
