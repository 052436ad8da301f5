// SPDX-License-Identifier: Apache-2.0
// B^T x and A^T x of Winograd's F(m, 3), a vector of channels at a time; backends/winograd.hpp has
// the whole of it.

template <int M>
struct Winograd;

template <>
struct Winograd<2> {
  static constexpr int kSize = 4;  // inputs of a tile along an axis
  static inline void in(vec (&x)[kSize]) {
    const vec inner = x[2];
    x[0] = x[0] - x[2];
    x[3] = x[1] - x[3];
    x[2] = inner - x[1];
    x[1] = x[1] + inner;
  }
  static inline void out(const vec (&x)[kSize], vec (&y)[2]) {
    y[0] = x[0] + x[1] + x[2];
    y[1] = x[1] - x[2] - x[3];
  }
};

template <>
struct Winograd<4> {
  static constexpr int kSize = 6;
  static inline void in(vec (&x)[kSize]) {
    const vec four = splat(4.0f), five = splat(-5.0f), two = splat(2.0f);
    const vec even = fma(-four, x[2], x[4]), odd = fma(-four, x[1], x[3]);
    const vec even_far = x[4] - x[2], odd_far = two * (x[3] - x[1]);
    x[0] = fma(four, x[0], fma(five, x[2], x[4]));
    x[5] = fma(four, x[1], fma(five, x[3], x[5]));
    x[1] = even + odd;
    x[2] = even - odd;
    x[3] = even_far + odd_far;
    x[4] = even_far - odd_far;
  }
  static inline void out(const vec (&x)[kSize], vec (&y)[4]) {
    const vec even = x[1] + x[2], odd = x[1] - x[2];
    const vec even_far = x[3] + x[4], odd_far = x[3] - x[4];
    y[0] = x[0] + even + even_far;
    y[1] = fma(splat(2.0f), odd_far, odd);
    y[2] = fma(splat(4.0f), even_far, even);
    y[3] = fma(splat(8.0f), odd_far, odd) + x[5];
  }
};
