// SPDX-License-Identifier: Apache-2.0
// Convolutions over bf16 by algorithm: pairs of elements, or tiles, which are transformed and
// multiplied as floats. In names, `direct` is the one over pairs.

size_t conv_packed_floats(const ConvShape& s) {
  if (!is_winograd(s)) return pair_packed_floats(s);
  return static_cast<size_t>(WinogradLayout(s).packed_floats(s));
}

void conv_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  if (is_winograd(s)) return winograd_pack(s, weight, bias, packed);
  pair_pack(s, weight, bias, packed);
}

// In multiply-adds of floats. A product of two pairs takes half of that where there is an
// instruction for it, and tiles widen and round what they transform: within ticks on Zen 4 they
// gain as if it were 0.45. So they pay at 28 and 56 pixels. At 14 they gain 1.15, and lanes would
// wait for their weights together. Elsewhere products wait for their halves to be widened.
double conv_cost(const ConvShape& s) {
#ifdef PVNET_DOT_PAIRS
  constexpr double kPair = 0.45;
#else
  constexpr double kPair = 1.25;
#endif
  return (is_winograd(s) ? 1.0 : kPair) * cost_over_floats(s);
}

void conv(const ConvArgs& a, int lo, int hi) {
  const ConvShape& s = *a.shape;
  if (s.algorithm == ConvAlgorithm::winograd2) {
    winograd<2>(a, lo, hi);
  } else if (s.algorithm == ConvAlgorithm::winograd4) {
    winograd<4>(a, lo, hi);
  } else if (is_depthwise(s)) {
    pair_depthwise(a, lo, hi);
  } else {
    conv_pairs(a, lo, hi);
  }
}
