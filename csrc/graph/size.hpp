// SPDX-License-Identifier: Apache-2.0
// Sizes in elements, bytes and counts that cannot wrap. All arithmetic on numbers out of a file
// that ends in an allocation, an offset or a loop bound is done with these.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace pvnet {

// A whole number >= 0. What does not fit 63 bits, or was negative, is `too large`, and stays so
// through every further step (also times 0), so that one comparison with a limit at the end of a
// computation is enough.
class Size {
 public:
  constexpr Size() = default;
  constexpr Size(int64_t n) : n_(n < 0 ? kTooLarge : n) {}  // NOLINT: implicit by design

  constexpr bool at_most(int64_t limit) const { return n_ <= limit && n_ != kTooLarge; }
  // Only to be used where at_most() held.
  constexpr int64_t value() const { return n_; }

  constexpr Size operator+(Size other) const {
    int64_t sum = 0;
    const bool wraps = __builtin_add_overflow(n_, other.n_, &sum);
    return large(other) || wraps ? Size(kTooLarge) : Size(sum);
  }
  constexpr Size operator*(Size other) const {
    int64_t product = 0;
    const bool wraps = __builtin_mul_overflow(n_, other.n_, &product);
    return large(other) || wraps ? Size(kTooLarge) : Size(product);
  }
  constexpr Size& operator+=(Size other) { return *this = *this + other; }
  // The next multiple of `granule` > 0.
  constexpr Size rounded_up(int64_t granule) const {
    const int64_t rest = n_ % granule;
    return rest == 0 || n_ == kTooLarge ? *this : *this + (granule - rest);
  }

  std::string text() const { return n_ == kTooLarge ? "more than 2^63 - 2" : std::to_string(n_); }

 private:
  static constexpr int64_t kTooLarge = std::numeric_limits<int64_t>::max();
  constexpr bool large(Size other) const { return n_ == kTooLarge || other.n_ == kTooLarge; }
  int64_t n_ = 0;
};

constexpr Size operator+(int64_t a, Size b) { return Size(a) + b; }
constexpr Size operator*(int64_t a, Size b) { return Size(a) * b; }

}  // namespace pvnet
