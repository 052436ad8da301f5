// SPDX-License-Identifier: Apache-2.0
// A causal max pool, kt x 3 x 3 with padding 1: the value of one tick from the ring of its input.
// A block computes TILE_H x TILE_W pixels of TILE_C channels, one thread an output. Firings before
// the first read as zeros, pixels beyond the border do not count, a NaN is never lost.
#include <pvnet/kernels/segment.h>

#ifndef TILE_H
#define TILE_H 4
#define TILE_W 4
#define TILE_C 8
#endif

// ring: [depth][height][width][channels], firing J in slot J mod depth; out: [height][width]
// [channels]. The newest firing is that of `tick`.
extern "C" __global__ void max_pool(const float* ring, int height, int width, int channels,
                                    int depth, int kt, int tick, float* out) {
  const int c = blockIdx.x * TILE_C + threadIdx.x;
  const int x = blockIdx.y * TILE_W + threadIdx.y;
  const int y = blockIdx.z * TILE_H + threadIdx.z;
  if (c >= channels || x >= width || y >= height) return;

  pvnet_device_value value = {};
  value.pixel_stride = channels;
  value.row_stride = width * channels;
  value.slot_stride = height * value.row_stride;
  value.depth = depth;

  const int64_t here = y * value.row_stride + x * value.pixel_stride + c;
  float best = ring[pvnet_device_slot(&value, tick) + here];
  for (int tap = 0; tap < kt; ++tap) {
    const int firing = tick - tap;
    const float* slot = firing < 0 ? nullptr : ring + pvnet_device_slot(&value, firing);
    for (int dy = -1; dy <= 1; ++dy) {
      for (int dx = -1; dx <= 1; ++dx) {
        if (y + dy < 0 || y + dy >= height || x + dx < 0 || x + dx >= width) continue;
        const float v =
            slot == nullptr ? 0.0f : slot[here + dy * value.row_stride + dx * value.pixel_stride];
        if (v > best || v != v) best = v;
      }
    }
  }
  out[(y * width + x) * channels + c] = best;
}
