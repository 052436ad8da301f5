// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>

#include "picture/layer.hpp"

namespace pvnet {
namespace {

struct Span {  // of a row, empty where low > high
  double low = HUGE_VAL, high = -HUGE_VAL;

  void add(double x) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
};

// Where rows go through a capsule of some radius, which is convex.
class Outline {
 public:
  Outline(const Capsule& c, double radius)
      : c_(c), radius_(radius), square_(radius * radius), dx_(double{c.bx} - c.ax) {
    const double dy = double{c.by} - c.ay, length = std::hypot(dx_, dy);
    level_ = dy == 0;  // then the ends have the corners
    if (level_) return;
    side_x_ = radius * dy / length;
    side_y_ = radius * dx_ / length;
    per_row_ = 1 / dy;
  }
  Span at(double y) const {
    Span span;
    if (!(radius_ > 0)) return span;
    add_end(span, c_.ax, y - c_.ay);
    add_end(span, c_.bx, y - c_.by);
    if (level_) return span;
    const double first = (y - c_.ay - side_y_) * per_row_, second = first + 2 * side_y_ * per_row_;
    if (first >= 0 && first <= 1) span.add(c_.ax - side_x_ + first * dx_);
    if (second >= 0 && second <= 1) span.add(c_.ax + side_x_ + second * dx_);
    return span;
  }

 private:
  void add_end(Span& span, double x, double off) const {
    if (off * off > square_) return;
    const double half = std::sqrt(square_ - off * off);
    span.add(x - half);
    span.add(x + half);
  }

  const Capsule& c_;
  const double radius_, square_, dx_;
  double side_x_ = 0, side_y_ = 0, per_row_ = 0;
  bool level_;
};

// As pvnet.video.raster: a ramp of one pixel along the signed distance.
class Coverage {
 public:
  explicit Coverage(const Capsule& c) : c_(c), dx_(c.bx - c.ax), dy_(c.by - c.ay) {
    const float square = std::max(dx_ * dx_ + dy_ * dy_, 1e-6f);
    along_x_ = dx_ / square;
    along_y_ = dy_ / square;
  }
  float at(int x, int y) const {
    const float px = static_cast<float>(x) - c_.ax, py = static_cast<float>(y) - c_.ay;
    const float along = std::clamp(px * along_x_ + py * along_y_, 0.0f, 1.0f);
    const float ox = px - along * dx_, oy = py - along * dy_;
    return std::clamp(0.5f - (std::sqrt(ox * ox + oy * oy) - c_.radius), 0.0f, 1.0f);
  }

 private:
  const Capsule& c_;
  const float dx_, dy_;
  float along_x_, along_y_;
};

uint8_t rounded(float value) {
  return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
}

// Whole numbers of [0, n] around a coordinate, which may lie far away.
int first_at(double x, int n) { return static_cast<int>(std::clamp(std::ceil(x), 0.0, double(n))); }
int end_at(double x, int n) {
  return static_cast<int>(std::clamp(std::floor(x) + 1, 0.0, double(n)));
}

}  // namespace

void draw_capsule(const Layer& layer, const Capsule& c) {
  if (!std::isfinite(c.ax + c.ay) || !std::isfinite(c.bx + c.by) || !(c.radius > 0)) return;
  const Coverage coverage(c);
  const double reach = double{c.radius} + 0.5;
  const Outline outer(c, reach), inner(c, double{c.radius} - 0.5);
  uint8_t solid[4];
  for (int k = 0; k < 4; ++k) solid[k] = rounded(c.ink[k]);
  const int top = first_at(std::min(c.ay, c.by) - reach, layer.h);
  const int bottom = end_at(std::max(c.ay, c.by) + reach, layer.h);
  for (int y = top; y < bottom; ++y) {
    uint8_t* const row = layer.row(y);
    const Span touched = outer.at(y), covered = inner.at(y);
    const int left = first_at(touched.low, layer.w);
    const int right = std::max(left, end_at(touched.high, layer.w));
    const int from = std::clamp(first_at(covered.low, layer.w), left, right);
    const int to = std::clamp(end_at(covered.high, layer.w), from, right);
    const auto edge = [&](int x) {
      const float alpha = coverage.at(x, y);
      for (int k = 0; k < 4; ++k) {
        const float under = row[4 * x + k];
        row[4 * x + k] = rounded(under + (c.ink[k] - under) * alpha);
      }
    };
    for (int x = left; x < from; ++x) edge(x);
    for (int x = from; x < to; ++x) std::memcpy(row + 4 * x, solid, 4);
    for (int x = to; x < right; ++x) edge(x);
  }
}

}  // namespace pvnet
