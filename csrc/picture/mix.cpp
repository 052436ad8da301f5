// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "picture/layer.hpp"

namespace pvnet {
namespace {

constexpr int kChunk = 64;  // pixels of a row at a time, in registers or the first cache

// Colour and opacity of some pixels.
struct Chunk {
  uint8_t color[kChunk], opacity[kChunk];
};

// value * (255 - opacity) / 255, rounded, plus the colour; n samples.
void mix_row(uint8_t* samples, const Chunk& chunk, int n) {
  for (int i = 0; i < n; ++i) {
    const auto product = static_cast<uint16_t>(samples[i] * (255 - chunk.opacity[i]) + 128);
    const auto kept = static_cast<uint16_t>((product + (product >> 8)) >> 8);
    samples[i] = static_cast<uint8_t>(std::min(kept + chunk.color[i], 255));
  }
}

bool empty(const uint8_t* pixels, int n) {
  uint64_t any = 0;  // two pixels at a time: n is even
  for (int i = 0; i < n; i += 2) {
    uint64_t two;
    std::memcpy(&two, pixels + 4 * i, sizeof two);
    any |= two;
  }
  return any == 0;
}

void mix_luma(const uint8_t* pixels, uint8_t* samples, int n) {
  Chunk chunk;
  for (int i = 0; i < n; ++i) {
    chunk.color[i] = pixels[4 * i];
    chunk.opacity[i] = pixels[4 * i + 3];
  }
  mix_row(samples, chunk, n);
}

// Two rows of n pixels make one of n / 2 samples.
void mix_chroma(const uint8_t* upper, const uint8_t* lower, uint8_t* u, uint8_t* v, int n) {
  Chunk chunk_u, chunk_v;
  for (int i = 0; i < n / 2; ++i) {
    const uint8_t* const a = upper + 8 * i;
    const uint8_t* const b = lower + 8 * i;
    const auto mean = [&](int k) {
      return static_cast<uint8_t>((a[k] + a[k + 4] + b[k] + b[k + 4] + 2) >> 2);
    };
    chunk_u.color[i] = mean(1);
    chunk_v.color[i] = mean(2);
    chunk_u.opacity[i] = chunk_v.opacity[i] = mean(3);
  }
  mix_row(u, chunk_u, n / 2);
  mix_row(v, chunk_v, n / 2);
}

}  // namespace

void mix_layer(const Layer& layer, const Plane& y, const Plane& u, const Plane& v) {
  for (int row = 0; row < layer.h; row += 2) {
    for (int x = 0; x < layer.w; x += kChunk) {
      const int n = std::min(kChunk, layer.w - x);
      const uint8_t* const upper = layer.row(row) + 4 * x;
      const uint8_t* const lower = layer.row(row + 1) + 4 * x;
      if (empty(upper, n) && empty(lower, n)) continue;  // most of a layer with a skeleton
      mix_luma(upper, y.row(row) + x, n);
      mix_luma(lower, y.row(row + 1) + x, n);
      mix_chroma(upper, lower, u.row(row / 2) + x / 2, v.row(row / 2) + x / 2, n);
    }
  }
}

}  // namespace pvnet
