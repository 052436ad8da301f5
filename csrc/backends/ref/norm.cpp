// SPDX-License-Identifier: Apache-2.0
// Group norm and layer norm, in place: mean, then variance around it, both in f64. Order of
// additions: rows, then columns, then channels.
#include <cmath>

#include "backends/ref/ops.hpp"

namespace pvnet::ref {
namespace {

struct Part {  // of a map, that is normalised together
  int y_lo, y_hi, x_lo, x_hi, c_lo, c_hi;
};

template <class T, class F>
void for_values(const NormArgs& a, const Part& part, F&& f) {
  for (int y = part.y_lo; y < part.y_hi; ++y) {
    for (int x = part.x_lo; x < part.x_hi; ++x) {
      for (int c = part.c_lo; c < part.c_hi; ++c) f(pixel<T>(a.out, y, x)[c], c);
    }
  }
}

template <class T>
void normalise(const NormArgs& a, const Part& part) {
  double count = 0.0, sum = 0.0, squares = 0.0;
  for_values<T>(a, part, [&](float v, int) { sum += v, count += 1.0; });
  const double mean = sum / count;
  for_values<T>(a, part, [&](float v, int) { squares += (v - mean) * (v - mean); });
  const double share = 1.0 / std::sqrt(squares / count + a.eps);
  for_values<T>(a, part, [&](auto&& v, int c) {
    const double scaled = (v - mean) * share * a.weight[c] + a.bias[c];
    v = activate(a.act, a.numbers, static_cast<float>(scaled));
  });
}

}  // namespace

template <class T>
void group_norm(const NormArgs& a, int group_lo, int group_hi) {
  const int channels = a.out.g.c / a.groups;
  for (int i = group_lo; i < group_hi; ++i) {
    normalise<T>(a, {0, a.out.g.h, 0, a.out.g.w, i * channels, (i + 1) * channels});
  }
}

template <class T>
void layer_norm(const NormArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    for (int x = 0; x < a.out.g.w; ++x) normalise<T>(a, {y, y + 1, x, x + 1, 0, a.out.g.c});
  }
}

template void group_norm<float>(const NormArgs&, int, int);
template void group_norm<Bf16>(const NormArgs&, int, int);
template void group_norm<AnyElement>(const NormArgs&, int, int);
template void layer_norm<float>(const NormArgs&, int, int);
template void layer_norm<Bf16>(const NormArgs&, int, int);
template void layer_norm<AnyElement>(const NormArgs&, int, int);

}  // namespace pvnet::ref
