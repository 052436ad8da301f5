// SPDX-License-Identifier: Apache-2.0
// Layers over pictures: nothing is written beside them. What is drawn is tests/video's affair.
#include <algorithm>
#include <random>
#include <vector>

#include "check.hpp"
#include "picture/layer.hpp"

using namespace pvnet;

namespace {

constexpr uint8_t kGuard = 201;

// Rows with guards between them, and in front and behind.
struct Guarded {
  Guarded(int h, int w, int pixel)
      : h(h), row(static_cast<size_t>(w * pixel)), bytes((row + 16) * (h + 2), kGuard) {
    for (int y = 0; y < h; ++y) std::fill_n(at(y), row, uint8_t{0});
  }
  uint8_t* at(int y) { return bytes.data() + (row + 16) * static_cast<size_t>(y + 1); }
  int64_t step() const { return static_cast<int64_t>(row + 16); }
  bool guarded() {
    size_t inside = 0;
    for (int y = 0; y < h; ++y) inside += std::count(at(y), at(y) + row, kGuard);
    return static_cast<size_t>(std::count(bytes.begin(), bytes.end(), kGuard)) ==
           bytes.size() - row * static_cast<size_t>(h) + inside;
  }

  int h;
  size_t row;
  std::vector<uint8_t> bytes;
};

}  // namespace

TEST(capsules_stay_inside_of_their_layer) {
  std::mt19937 random(3);
  for (int k = 0; k < 2000; ++k) {
    const int h = 1 + static_cast<int>(random() % 40), w = 1 + static_cast<int>(random() % 40);
    Guarded memory(h, w, 4);
    const Layer layer{memory.at(0), h, w, memory.step()};
    const float reach = k % 10 == 0 ? 1e20f : 60.0f;
    std::uniform_real_distribution<float> place(-reach, reach), radius(0.0f, 20.0f);
    Capsule c{place(random), place(random), place(random), place(random), radius(random), {}};
    if (k % 3 == 0) c.bx = c.ax, c.by = c.ay;
    for (float& value : c.ink) value = 300.0f;  // too bright: it is limited
    draw_capsule(layer, c);
    CHECK(memory.guarded());
  }
}

TEST(a_layer_stays_inside_of_its_planes) {
  for (const int w : {2, 62, 64, 66, 130}) {
    const int h = 6;
    Guarded memory(h, w, 4), y(h, w, 1), u(h / 2, w / 2, 1), v(h / 2, w / 2, 1);
    for (int row = 0; row < h; ++row) std::fill_n(memory.at(row), memory.row, uint8_t{255});
    mix_layer({memory.at(0), h, w, memory.step()}, {y.at(0), y.step()}, {u.at(0), u.step()},
              {v.at(0), v.step()});
    CHECK(y.guarded() && u.guarded() && v.guarded());
    CHECK_EQ(int{y.at(h - 1)[w - 1]}, 255);
    CHECK_EQ(int{v.at(h / 2 - 1)[w / 2 - 1]}, 255);
  }
}
