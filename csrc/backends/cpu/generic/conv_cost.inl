// SPDX-License-Identifier: Apache-2.0
// Of convolutions by algorithm: tiles, scratch, and about how long they take.

inline bool is_winograd(const ConvShape& s) { return s.algorithm != ConvAlgorithm::direct; }

int conv_tiles(const ConvShape& s) {
  if (!is_winograd(s)) return direct_tiles(s);
  const WinogradLayout w(s);
  return w.groups * w.blocks;
}

size_t conv_scratch_floats(const ConvShape& s) {
  return is_winograd(s) ? static_cast<size_t>(WinogradLayout(s).scratch_floats()) : 0;
}

// The time of Winograd's steps, in multiply-adds of the direct convolution: fitted to layers of 16
// to 512 channels at 7 to 56 pixels on AVX2 and on the baseline (bench/cpp/bench_winograd.cpp), not
// measured on others. A transform is work of vectors as a multiply-add is, so that wider ones
// change nothing; memory is slow beside wide ones only.
struct WinogradCost {
  double in, out;  // transforms, of a tile and a channel
};
constexpr WinogradCost kCost2 = {100, 100}, kCost4 = {300, 500};
constexpr double kProductCost = 1.15;                  // of a product at a point
constexpr double kWeightCost = kVecWidth < 8 ? 3 : 6;  // of a weight that a group of tiles reads

double cost_over_floats(const ConvShape& s) {
  const double k = static_cast<double>(s.in_c / s.groups) * s.kt;
  if (!is_winograd(s)) return k * s.kh * s.kw * s.out_h * s.out_w * s.out_c;
  if (!winograd_fits(s)) return __builtin_inf();
  const WinogradLayout w(s);
  const WinogradCost& cost = w.m == 2 ? kCost2 : kCost4;
  const double weights = k * w.points * w.width;
  return weights * (kProductCost * w.tiles + kWeightCost * w.groups) +
         w.tiles * (cost.in * k + cost.out * w.width);
}
