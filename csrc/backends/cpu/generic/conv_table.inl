// SPDX-License-Identifier: Apache-2.0
// Convolutions by algorithm: which code has the shape.

size_t conv_packed_floats(const ConvShape& s) {
  if (!is_winograd(s)) return direct_packed_floats(s);
  return static_cast<size_t>(WinogradLayout(s).packed_floats(s));
}

void conv_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  if (is_winograd(s)) return winograd_pack(s, weight, bias, packed);
  direct_pack(s, weight, bias, packed);
}

double conv_cost(const ConvShape& s) { return cost_over_floats(s); }

void conv(const ConvArgs& a, int lo, int hi) {
  const ConvShape& s = *a.shape;
  if (s.algorithm == ConvAlgorithm::winograd2) {
    winograd<2>(a, lo, hi);
  } else if (s.algorithm == ConvAlgorithm::winograd4) {
    winograd<4>(a, lo, hi);
  } else if (is_depthwise(s)) {
    depthwise(a, lo, hi);
  } else {
    conv_dense(a, lo, hi);
  }
}
