// SPDX-License-Identifier: Apache-2.0
// Of convolutions by algorithm: tiles, scratch, and about how long they take.

inline bool is_winograd(const ConvShape& s) { return s.algorithm != ConvAlgorithm::direct; }

int conv_tiles(const ConvShape& s) {
  if (!is_winograd(s)) return direct_tiles(s);
  const WinogradLayout w(s);
  return w.groups * w.units;
}

size_t conv_scratch_floats(const ConvShape& s) {
  return is_winograd(s) ? static_cast<size_t>(WinogradLayout(s).scratch_floats()) : 0;
}

// The time of Winograd's steps, in multiply-adds of the direct convolution: fitted to the 3x3
// layers of ResNet-18, ResNet-50, Par-Inception and Par-DenseNet within whole ticks on Zen 4, with
// AVX-512 and with AVX2 (not measured on others). There no layer finds its weights in a near cache:
// a group of tiles waits for them where it is small, else for its products. Half of the layers lie
// within 4 % then and nine of ten within 11 %, with AVX2 within 11 % and 25 %.
struct WinogradCost {
  double in, out;  // transforms, of a tile and a channel
};
constexpr WinogradCost kCost2 = {55, 100}, kCost4 = {550, 250};
constexpr double kProductCost = kVecWidth < 16 ? 1.25 : 1.13;  // of a product at a point
// Of a weight that a group of tiles reads. Products are slower with narrow vectors, not memory.
constexpr double kWeightCost = kVecWidth < 8 ? 3 : 11;

double cost_over_floats(const ConvShape& s) {
  const double k = static_cast<double>(s.in_c / s.groups) * s.kt;
  if (!is_winograd(s)) return k * s.kh * s.kw * s.out_h * s.out_w * s.out_c;
  if (!winograd_fits(s)) return __builtin_inf();
  const WinogradLayout w(s);
  const double width = w.vecs * kVecWidth;
  const WinogradCost& cost = w.m == 2 ? kCost2 : kCost4;
  const double products = kProductCost * w.tiles, reads = kWeightCost * w.groups;
  return k * w.points * width * (products > reads ? products : reads) +
         w.tiles * (cost.in * k + cost.out * width);
}
