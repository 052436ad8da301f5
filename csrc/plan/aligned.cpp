// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "plan/plan.hpp"

namespace pvnet {

AlignedFloats::AlignedFloats(size_t n) : size_(n) {
  if (n == 0) return;
  const size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
  data_ = static_cast<float*>(std::aligned_alloc(64, bytes));
  if (data_ == nullptr) throw std::bad_alloc();  // turned into a Status by compile() and create()
  std::memset(data_, 0, bytes);
}

void AlignedFloats::clear() {
  if (data_ != nullptr) std::memset(data_, 0, size_ * sizeof(float));
}

AlignedFloats::~AlignedFloats() { std::free(data_); }

AlignedFloats::AlignedFloats(AlignedFloats&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedFloats& AlignedFloats::operator=(AlignedFloats&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace pvnet
