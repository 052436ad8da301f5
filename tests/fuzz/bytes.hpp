// SPDX-License-Identifier: Apache-2.0
// Decisions from a fuzzer's bytes. When they run out every answer is the first choice, so that a
// short input is a small case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>

namespace fuzz {

class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool more() const { return at_ < size_; }
  uint8_t byte() { return at_ < size_ ? data_[at_++] : 0; }
  size_t below(size_t n) { return n <= 1 ? 0 : byte() % n; }
  bool chance(int percent) { return byte() * 100 / 256 >= 100 - percent; }
  template <class T, size_t N>
  const T& one_of(const T (&choices)[N]) {
    return choices[below(N)];
  }
  // Mostly small; else one of the numbers at which sizes wrap, or that files are written with.
  int64_t number() {
    static constexpr int64_t kExtreme[] = {
        0,     -1,     15,         16,         17,          63,         255,        256,
        2047,  4096,   65535,      65536,      524288,      1 << 24,    1 << 28,    1 << 30,
        1000,  100000, 2147483647, 2147483648, -2147483648, 1LL << 32,  1LL << 40,  1LL << 53,
        46341, 92682,  1LL << 60,  INT64_MAX,  INT64_MIN,   4294967295, 1073741824, 3037000500};
    const uint8_t b = byte();
    return b < 224 ? b % 8 : kExtreme[byte() % std::size(kExtreme)];
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

[[noreturn]] inline void die(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

}  // namespace fuzz
