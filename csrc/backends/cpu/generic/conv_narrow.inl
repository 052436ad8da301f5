// SPDX-License-Identifier: Apache-2.0
// The last one or two channels of a convolution, which would leave a vector of output channels
// nearly empty. Here vectors are of input channels: the sums of a pixel are vectors, too, until all
// products are in them.
//
// The order of a sum is that of the runs, and in a tap that of the channels, whoever makes it and
// with whatever neighbours.

// n channels, at most a vector, of N pixels.
template <int N, int OUTS>
__attribute__((always_inline)) inline void add_channels(vec (&acc)[N][OUTS], const char* a,
                                                        int64_t step, const float* weight,
                                                        int64_t weight_step, int n) {
  vec w[OUTS];
#pragma GCC unroll 2
  for (int o = 0; o < OUTS; ++o) w[o] = load_n(weight + o * weight_step, n);
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
    const vec x = load_n(reinterpret_cast<const float*>(a + p * step), n);
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o) acc[p][o] = fma(x, w[o], acc[p][o]);
  }
}

// One group of N pixels, the first of m; m.out_channels is OUTS.
template <int N, int OUTS>
void conv_narrow(const MicroArgs& m, const NarrowWeights& weights) {
  vec acc[N][OUTS];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o) {
      acc[p][o] = weights.begins ? splat(0.0f) : load(m.scratch[0] + (p * OUTS + o) * kVecWidth);
    }
  }
  const int in_y = m.y[0] * m.sh;
  for (const Run *run = m.runs, *end = run + m.n_runs; run != end; ++run) {
    if (static_cast<unsigned>(in_y + run->dy) >= static_cast<unsigned>(m.in_h)) continue;
    const char* a = run->base + m.y[0] * run->row_step + m.x[0] * run->pixel_step;
    const float* w = weights.first + 1 + run->weight;
    // Taps side by side are one run where the map has no gaps. Their sums are not to tell.
    for (int left = run->channels; left > 0; left -= run->tap_channels) {
      int c = 0;
      for (; c + kVecWidth <= run->tap_channels; c += kVecWidth) {
        add_channels<N, OUTS>(acc, a + 4 * c, run->pixel_step, w + c, weights.step, kVecWidth);
      }
      if (c < run->tap_channels) {
        add_channels<N, OUTS>(acc, a + 4 * c, run->pixel_step, w + c, weights.step,
                              run->tap_channels - c);
      }
      a += 4 * run->tap_channels;
      w += run->tap_channels;
    }
  }
  if (m.out[0] == nullptr) return keep_sums<N, OUTS>(acc, m.scratch[0]);
  vec sums[N][1];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
    sums[p][0] = vec{};
#pragma GCC unroll 2
    for (int o = 0; o < OUTS; ++o)
      sums[p][0][o] = weights.first[o * weights.step] + total(acc[p][o]);
  }
  finish<N, 1>(sums, m, 0);
}

using Narrow = void (*)(const MicroArgs&, const NarrowWeights&);
#define PVNET_NARROW(n) {conv_narrow<n, 1>, conv_narrow<n, 2>}
// [pixels of a group - 1][channels - 1]
constexpr Narrow kNarrowMicro[kGroupPixels][kMostNarrow] = {
    PVNET_NARROW(1), PVNET_NARROW(2), PVNET_NARROW(3),
#ifdef PVNET_WIDE_GROUPS
    PVNET_NARROW(4), PVNET_NARROW(5), PVNET_NARROW(6), PVNET_NARROW(7),
#endif
};
#undef PVNET_NARROW
