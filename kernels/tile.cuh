// SPDX-License-Identifier: Apache-2.0
// Where a tile reads and writes, for all kernels but the convolution on tensor cores.
#pragma once

#include "program.h"
#include "pv.cuh"

namespace pv {

enum { kGroup = 8 };  // channels that a thread works on at once

PV_DEVICE int lesser(int a, int b) { return a < b ? a : b; }
PV_DEVICE int greater(int a, int b) { return a > b ? a : b; }

// Some channels of a firing. data == nullptr: it does not exist, and reads as zeros.
template <class T>
struct View {
  const T* data;                     // of pixel (0, 0)
  int32_t row_stride, pixel_stride;  // elements; a slot may have more than 32 bits of them
  PV_DEVICE const T* at(int y, int x) const {
    return data + static_cast<int64_t>(y) * row_stride + static_cast<int64_t>(x) * pixel_stride;
  }
};

template <class T>
struct Tile {
  const pv_program& p;
  const pv_op op;
  T* memory;             // of the row
  const int64_t* slots;  // of the row
  int y0, x0, h, w;      // its pixels, all inside the map
  int c0, c1;            // its channels, of those that the operation writes

  PV_DEVICE Tile(const pv_program& program, const pv_tile& tile)
      : p(program),
        op(program.ops[tile.op]),
        memory(static_cast<T*>(program.memory) + tile.row * program.row_elements),
        slots(program.slots + static_cast<int64_t>(tile.row) * program.n_reads),
        y0(tile.y * op.tile_h),
        x0(tile.x * op.tile_w),
        h(lesser(op.tile_h, op.out_h - y0)),
        w(lesser(op.tile_w, op.out_w - x0)),
        c0(tile.c_block * op.tile_c),
        c1(lesser(c0 + op.tile_c, op.out_c)) {}

  PV_DEVICE View<T> read(int source) const {
    const pv_source& s = p.sources[source];
    const pvnet_device_value& v = p.values[s.value];
    const int64_t slot = slots[s.read];
    return {slot < 0 ? nullptr : memory + slot + s.c0, static_cast<int32_t>(v.row_stride),
            static_cast<int32_t>(v.pixel_stride)};
  }
  // Channel c of what the operation writes.
  PV_DEVICE T* out(int y, int x, int c) const {
    const pvnet_device_value& v = p.values[op.out_value];
    return memory + slots[op.write] + op.out_c0 + c +
           static_cast<int64_t>(y) * static_cast<int32_t>(v.row_stride) +
           static_cast<int64_t>(x) * static_cast<int32_t>(v.pixel_stride);
  }
  // As a read, for the sums over windows: the coordinate of the first place.
  PV_DEVICE int first_y(int y) const { return y * op.sh - op.ph; }
  PV_DEVICE int first_x(int x) const { return x * op.sw - op.pw; }
  PV_DEVICE bool inside(int y, int x) const {
    return y >= 0 && y < op.in_h && x >= 0 && x < op.in_w;
  }
};

}  // namespace pv
