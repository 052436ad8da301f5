// SPDX-License-Identifier: Apache-2.0
// What is drawn over a picture before it is mixed in: colours times opacity, and the opacity. The
// colours are those of the picture, here luma and two of chroma.
#pragma once

#include <cstdint>

namespace pvnet {

// [h][w][4] bytes, pixels dense in a row.
struct Layer {
  uint8_t* pixels = nullptr;
  int h = 0, w = 0;
  int64_t row_bytes = 0;

  uint8_t* row(int y) const { return pixels + y * row_bytes; }
};

// A segment with round ends, or a disc where both ends are one point. Coordinates in pixels, whose
// centres lie at integers.
struct Capsule {
  float ax, ay, bx, by, radius;
  float ink[4];
};

// Opaque, with an edge of one pixel; outside of the layer it is cut off. What is not finite is left
// out.
void draw_capsule(const Layer& layer, const Capsule& capsule);

// 8 bits a sample.
struct Plane {
  uint8_t* samples = nullptr;
  int64_t row_bytes = 0;

  uint8_t* row(int y) const { return samples + y * row_bytes; }
};

// Mixes a layer of even sizes into as large a part of planes in 4:2:0, whose first samples these
// are: each sample keeps what the opacity leaves of 255, rounded, and gets the colour added.
void mix_layer(const Layer& layer, const Plane& y, const Plane& u, const Plane& v);

}  // namespace pvnet
