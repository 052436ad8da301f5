// SPDX-License-Identifier: Apache-2.0
// Floats below 1.2e-38 (subnormals) count as zero while a tick runs. A feedback that fades away
// otherwise ends in numbers that cost CPUs ten to a hundred times as much as any others.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pvnet {

// For as long as it lives, in this thread; the mode that was there comes back.
class SubnormalsAsZero {
 public:
#if defined(__x86_64__)
  SubnormalsAsZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlush | kDenormalsAreZero); }
  ~SubnormalsAsZero() { _mm_setcsr(before_); }

 private:
  static constexpr uint32_t kFlush = 0x8000, kDenormalsAreZero = 0x0040;
  const uint32_t before_;

 public:
#elif defined(__aarch64__)
  SubnormalsAsZero() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | (uint64_t{1} << 24)));
  }
  ~SubnormalsAsZero() { asm volatile("msr fpcr, %0" : : "r"(before_)); }

 private:
  uint64_t before_ = 0;

 public:
#else
  SubnormalsAsZero() {}
#endif
  SubnormalsAsZero(const SubnormalsAsZero&) = delete;
  SubnormalsAsZero& operator=(const SubnormalsAsZero&) = delete;
};

}  // namespace pvnet
