// SPDX-License-Identifier: Apache-2.0
// The map that a convolution adds to its result, in front of the activation.

// Pixel (y, x), channel c of it; nullptr: it reads as 0.
inline const elem* residual_at(const ConvArgs& a, int64_t y, int64_t x, int c) {
  const ResidualView& r = a.residual;
  if (r.data == nullptr) return nullptr;
  return elems(r.data) + y * r.g.row_stride + x * r.g.pixel_stride + c;
}

// Channel c of pixel (0, 0).
inline const elem* residual_data(const ConvArgs& a, int c) { return residual_at(a, 0, 0, c); }

// The sum, n channels of it from p on; p is of residual_at().
inline vec with_residual(vec v, const elem* p, int n) {
  return as_stored(v) + (p == nullptr ? splat(0.0f) : load_n(p, n));
}
