// SPDX-License-Identifier: Apache-2.0
// Independent chains of fused multiply-adds in registers: what this core can do at the very most.
// Returns the number of floating-point operations done; the caller times it.
inline double fma_block(int64_t rounds) {
  constexpr int kChains =
      12;  // latency times throughput of the cores of today, and still 16 registers
  vec acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = splat(static_cast<float>(i));
  const vec m = splat(0.999f), c = splat(0.001f);
  for (int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < kChains; ++i) acc[i] = fma(acc[i], m, c);
  }
  float sum = 0;
  for (int i = 0; i < kChains; ++i) sum += acc[i][0];
  volatile float sink = sum;  // or the compiler would drop it all
  (void)sink;
  return 2.0 * kChains * kVecWidth * static_cast<double>(rounds);
}
