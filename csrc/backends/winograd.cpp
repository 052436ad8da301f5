// SPDX-License-Identifier: Apache-2.0
#include "backends/winograd.hpp"

namespace pvnet {
namespace {

constexpr int kMost = 6;

// G k: polynomials through the points 0, 1, -1 (and 2, -2), and at infinity.
void filter(int m, const double (&k)[3], double (&points)[kMost]) {
  const double even = k[0] + k[2];
  if (m == 2) {
    points[0] = k[0];
    points[1] = (even + k[1]) / 2;
    points[2] = (even - k[1]) / 2;
    points[3] = k[2];
    return;
  }
  const double far = k[0] + 4 * k[2], odd = 2 * k[1];
  points[0] = k[0] / 4;
  points[1] = -(even + k[1]) / 6;
  points[2] = -(even - k[1]) / 6;
  points[3] = (far + odd) / 24;
  points[4] = (far - odd) / 24;
  points[5] = k[2];
}

}  // namespace

void winograd_weights(int m, const float* kernel, float* points) {
  const int n = m + 2;
  double columns[kMost][3], out[kMost];
  for (int x = 0; x < 3; ++x) {
    filter(m, {kernel[x], kernel[3 + x], kernel[6 + x]}, out);
    for (int y = 0; y < n; ++y) columns[y][x] = out[y];
  }
  for (int y = 0; y < n; ++y) {
    filter(m, columns[y], out);
    for (int x = 0; x < n; ++x) points[y * n + x] = static_cast<float>(out[x]);
  }
}

}  // namespace pvnet
