// SPDX-License-Identifier: Apache-2.0
// Elements of a map that says itself what it stores: f32, or 8 bits with a scale. They read as
// floats and are rounded when they are written.
#pragma once

#include <cstddef>

#include "backends/int8.hpp"
#include "backends/kernel_api.hpp"

namespace pvnet::ref {

class AnyElement {
 public:
  AnyElement(const MapGeometry& g, std::byte* at) : g_(g), at_(at) {}
  operator float() const {
    if (g_.dtype == Dtype::f32) return *reinterpret_cast<const float*>(at_);
    return static_cast<float>(steps()) * g_.scale;
  }
  bool has_steps() const { return is_8_bit(g_.dtype); }
  int steps() const {
    return g_.dtype == Dtype::uint8 ? *reinterpret_cast<const uint8_t*>(at_)
                                    : *reinterpret_cast<const int8_t*>(at_);
  }
  const AnyElement& operator=(float x) const {
    if (g_.dtype == Dtype::f32) {
      *reinterpret_cast<float*>(at_) = x;
    } else {
      *at_ = static_cast<std::byte>(
          step_of(x, 1.0f / g_.scale, lowest_step(g_.dtype), highest_step(g_.dtype)));
    }
    return *this;
  }

 private:
  const MapGeometry& g_;
  std::byte* at_;
};

// What a pointer to elements is elsewhere; the geometry outlives it.
class AnyPixel {
 public:
  AnyPixel(const MapGeometry& g, float* data) : g_(&g), at_(reinterpret_cast<std::byte*>(data)) {}
  AnyPixel operator+(int64_t n) const {
    AnyPixel moved = *this;
    moved.at_ += n * element_bytes(g_->dtype);
    return moved;
  }
  AnyElement operator[](int64_t i) const { return {*g_, (*this + i).at_}; }

 private:
  const MapGeometry* g_;
  std::byte* at_;
};

// A sum of values, in their order; of a map of 8 bits a sum of steps, which is exact.
class Sum {
 public:
  void add(float x) { total_ += x; }
  void add(const AnyElement& x) {
    if (x.has_steps()) {
      steps_ += x.steps();
    } else {
      total_ += float{x};
    }
  }
  float value(const MapGeometry& g) const {
    return is_8_bit(g.dtype) ? static_cast<float>(steps_) * g.scale : total_;
  }

 private:
  float total_ = 0.0f;
  int64_t steps_ = 0;
};

}  // namespace pvnet::ref
