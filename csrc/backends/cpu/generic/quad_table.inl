// SPDX-License-Identifier: Apache-2.0
// Convolutions by algorithm: over maps of 8 bits, or by the kernels over floats of the same
// instruction set.

inline bool is_int8(const ConvShape& s) { return s.algorithm == ConvAlgorithm::int8; }

int conv_tiles(const ConvShape& s) {
  return is_int8(s) ? direct_tiles(s) : PVNET_FLOAT_KERNELS().conv_tiles(s);
}

size_t conv_packed_floats(const ConvShape& s) {
  if (!is_int8(s)) return PVNET_FLOAT_KERNELS().conv_packed_floats(s);
  if (!is_depthwise(s)) return quad_packed_floats(s);
#ifdef PVNET_DOT_DEPTHWISE
  const auto more = static_cast<size_t>(is_dot_depthwise(s) ? DotBlocks(s).floats() : 0);
  return quad_depthwise_floats(s) + more;
#else
  return quad_depthwise_floats(s);
#endif
}

size_t conv_scratch_floats(const ConvShape& s) {
  return is_int8(s) ? 0 : PVNET_FLOAT_KERNELS().conv_scratch_floats(s);
}

void conv_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  if (!is_int8(s)) return PVNET_FLOAT_KERNELS().conv_pack(s, weight, bias, packed);
  if (!is_depthwise(s)) return quad_pack(s, weight, bias, packed);
  quad_depthwise_pack(s, weight, bias, packed);
#ifdef PVNET_DOT_DEPTHWISE
  if (is_dot_depthwise(s)) dot_depthwise_pack(s, weight, bias, packed);
#endif
}

// In multiply-adds of floats.
double conv_cost(const ConvShape& s) {
#ifdef PVNET_DOT_BYTES
  constexpr double kProduct = 0.25;
#else
  constexpr double kProduct = 0.7;
#endif
  if (!is_int8(s)) return PVNET_FLOAT_KERNELS().conv_cost(s);
  return kProduct * static_cast<double>(s.in_c / s.groups) * s.kt * s.kh * s.kw * s.out_h *
         s.out_w * s.out_c;
}

void conv(const ConvArgs& a, int lo, int hi) {
  if (!is_int8(*a.shape)) {
    PVNET_FLOAT_KERNELS().conv(a, lo, hi);
  } else if (!is_depthwise(*a.shape)) {
    conv_quads(a, lo, hi);
#ifdef PVNET_DOT_DEPTHWISE
  } else if (is_dot_depthwise(*a.shape) && is_8_bit(a.out.g.dtype)) {
    dot_depthwise(a, lo, hi);
#endif
  } else {
    quad_depthwise(a, lo, hi);
  }
}
