// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "plan/plan.hpp"

#include "host/heap.hpp"

namespace pvnet {

AlignedBytes::AlignedBytes(size_t n) : size_(n) {
  if (n == 0) return;
  const size_t bytes = (n + 63) / 64 * 64;
  data_ = static_cast<std::byte*>(allocate(64, bytes));
  if (data_ == nullptr) throw std::bad_alloc();  // turned into a Status by compile() and create()
  std::memset(data_, 0, bytes);
}

void AlignedBytes::clear() {
  if (data_ != nullptr) std::memset(data_, 0, size_);
}

AlignedBytes::~AlignedBytes() { std::free(data_); }

AlignedBytes::AlignedBytes(AlignedBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBytes& AlignedBytes::operator=(AlignedBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace pvnet
