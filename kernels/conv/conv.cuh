// SPDX-License-Identifier: Apache-2.0
// A tile of a causal convolution on tensor cores: PV_TILE_M output pixels x PV_TILE_N channels by 4
// warps, as a product of matrices that are nowhere whole.
//
// k runs over patches (segment, tap, 64 bytes of channels), inside a patch over the window. A patch
// of the map is copied to shared memory once, and the places of the window read it there: borders
// are zeros of the copy, a concat is one more patch, a tap is one more slot. Weights pass by in
// 64-byte rows, packed in the order of use.
#pragma once

#include "../group.cuh"
#include "../program.h"
#include "../pv.cuh"
#include "shared_bytes.h"
#include "sums.cuh"

namespace pv {

constexpr int kStepBytes = PV_TILE_N * PV_K_BYTES;  // weights of a k-step

// Where 16-byte piece `piece` of 64-byte row `row` lies: pieces of eight rows are in different
// banks.
PV_DEVICE int swizzled(int row, int piece) {
  return row * PV_K_BYTES + ((piece ^ ((row >> 1) & 3)) << 4);
}

template <pv_dtype D>
class Conv {
 public:
  PV_DEVICE Conv(const pv_program& program, const pv_tile& at, char* shared)
      : p(program),
        tile(at),
        op(program.ops[at.op]),
        weights(shared),
        patches(shared + PV_WEIGHT_STAGES * kStepBytes),
        places(reinterpret_cast<pv_patch_place*>(patches + op.patch_buffers * op.patch_bytes)),
        first_patch(at.split * pv_conv_share(&op)),
        n_patches(lesser(pv_conv_share(&op), op.n_patches - first_patch)),
        n_steps(n_patches * op.steps_per_patch),
        thread(static_cast<int>(threadIdx.x)) {
    const int block_steps = op.n_patches * op.steps_per_patch;  // of one block of channels
    packed = static_cast<const char*>(p.weights) + op.weights * 16 +
             (static_cast<int64_t>(at.c_block) * block_steps + first_patch * op.steps_per_patch) *
                 kStepBytes;
  }

  // Weights depend on nothing: the first ones travel while the launch before ends.
  PV_DEVICE void prefetch() {
#pragma unroll 1
    for (int step = 0; step < lesser(PV_WEIGHT_STAGES - 1, n_steps); ++step) copy_weights(step);
  }

  // Instead of run(): what is under way must not land in memory that another tile uses.
  PV_DEVICE void drop() {
    commit_copies();
    wait_copies<0>();
  }

  PV_DEVICE void run() {
    find_patches();
    sync();
    float sums[2][4][4] = {};
    add_products(sums);
    if (op.splits > 1 && !add_splits(p, op, tile, reinterpret_cast<int*>(places), sums)) return;
    sync();  // the last weights are read
    float* const staged = reinterpret_cast<float*>(weights);
    stage_sums(sums, staged);
    sync();
    store_sums<storage<D>>(p, op, tile, staged);
  }

 private:
  static constexpr int kBytes = static_cast<int>(sizeof(storage<D>));

  const pv_program& p;
  const pv_tile& tile;
  const pv_op& op;  // what a loop needs of it is copied in front: copies under way clobber memory
  char* const weights;  // shared memory: a ring of k-steps, a ring of patches, places
  char* const patches;
  pv_patch_place* const places;
  const int first_patch, n_patches, n_steps;  // of the tile's split
  const int thread;
  const char* packed;
  // What is copied next.
  int next_step = 0, next_patch = 0, next_in_patch = 0;

  PV_DEVICE const char* row_memory() const {
    return static_cast<const char*>(p.memory) + tile.row * p.row_elements * kBytes;
  }

  PV_DEVICE void find_patches() {
    const int64_t* const slots = p.slots + static_cast<int64_t>(tile.row) * p.n_reads;
#pragma unroll 1
    for (int i = thread; i < n_patches; i += PV_THREADS) {
      const pv_patch patch = p.patches[op.patch0 + first_patch + i];
      const pvnet_device_value& v = p.values[patch.value];
      const int64_t slot = slots[patch.read];
      places[i] = {slot < 0 ? -1 : (slot + patch.c0) * kBytes,
                   static_cast<int32_t>(v.row_stride) * kBytes,
                   static_cast<int32_t>(v.pixel_stride) * kBytes, patch.channels * kBytes, 0};
    }
  }

  PV_DEVICE void copy_weights(int step) {
    char* const to = weights + step % PV_WEIGHT_STAGES * kStepBytes;
    const char* const from = packed + static_cast<int64_t>(step) * kStepBytes;
#pragma unroll
    for (int i = 0; i < kStepBytes; i += PV_THREADS * 16) {
      copy16(to + i + thread * 16, from + i + thread * 16, 16);
    }
  }

  // What of the map a patch shows, in registers.
  struct Frame {
    int y0, x0;  // of the patch
    int h, w;    // of the map
    int patch_w, patch_w_magic, pixel_bytes;
  };
  PV_DEVICE Frame frame() const {
    return {tile.y * op.tile_h * op.sh - op.ph,
            tile.x * op.tile_w * op.sw - op.pw,
            op.in_h,
            op.in_w,
            op.patch_w,
            op.patch_w_magic,
            op.pixel_bytes};
  }
  // Copies piece `piece` of a pixel, or zeros where the map has none.
  PV_DEVICE static void copy_piece(const Frame& f, const pv_patch_place& place, const char* memory,
                                   char* to, int pixel, int piece) {
    const int py = (pixel * f.patch_w_magic) >> 16, px = pixel - py * f.patch_w;
    const int y = f.y0 + py, x = f.x0 + px;
    const bool inside = y >= 0 && y < f.h && x >= 0 && x < f.w;
    const int size = f.pixel_bytes == 8 ? 8 : 16;
    int valid = lesser(greater(place.valid - piece * 16, 0), size);
    if (!inside || place.offset < 0) valid = 0;
    const char* from = memory;
    if (valid > 0) {
      from += place.offset + static_cast<int64_t>(y) * place.row_bytes + x * place.pixel_bytes +
              piece * 16;
    }
    if (f.pixel_bytes == PV_K_BYTES) {
      copy16(to + swizzled(pixel, piece), from, valid);
    } else if (size == 16) {
      copy16(to + pixel * 16, from, valid);
    } else {
      copy8(to + pixel * 8, from, valid);
    }
  }
  PV_DEVICE void copy_patch(int patch) {
    const Frame f = frame();
    const pv_patch_place place = places[patch];
    const char* const memory = row_memory();
    char* const to = patches + patch % op.patch_buffers * op.patch_bytes;
    const int shift = f.pixel_bytes == PV_K_BYTES ? 2 : 0;  // 4 pieces a pixel, or 1
    const int n = (op.patch_h * f.patch_w) << shift;
#pragma unroll 1
    for (int i = thread; i < n; i += PV_THREADS) {
      copy_piece(f, place, memory, to, i >> shift, i & ((1 << shift) - 1));
    }
  }

  // All that the next k-step needs and that is not under way yet: a group, perhaps an empty one.
  PV_DEVICE void copy_step(bool with_weights) {
    if (next_step < n_steps) {
      if (next_in_patch == 0) copy_patch(next_patch);
      if (with_weights) copy_weights(next_step);
      if (++next_in_patch == op.steps_per_patch) next_in_patch = 0, ++next_patch;
    }
    ++next_step;
    commit_copies();
  }

  PV_DEVICE void add_products(float (&sums)[2][4][4]) {
    const int lane = thread % 32, warp = thread / 32;
    // Pixels of the patch under the window's first place: rows of a that the lane loads.
    int pixel[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      int m = warp % 2 * 32 + i * 16 + (lane & 15);
      if (m >= op.tile_h * op.tile_w) m = 0;
      const int y = m / op.tile_w;
      pixel[i] = y * op.sh * op.patch_w + (m - y * op.tile_w) * op.sw;
    }
    const int row_b = warp / 2 * 32 + (lane & 7) + ((lane >> 4) << 3);
    const int piece_a = lane >> 4, piece_b = (lane >> 3) & 1;
    const int pixel_bytes = op.pixel_bytes, patch_bytes = op.patch_bytes;
    const int buffers = op.patch_buffers, steps_per_row = op.steps_per_row, rows = op.kh;
    const int down = op.dh * op.patch_w, across = op.dw, row_bytes = op.kw * pixel_bytes;
    const bool folded = pixel_bytes != PV_K_BYTES;
#pragma unroll 1
    for (int i = 0; i < PV_WEIGHT_STAGES - 1; ++i) copy_step(false);

    int ky = 0, kx = 0, patch = 0;
#pragma unroll 1
    for (int step = 0; step < n_steps; ++step) {
      wait_copies<PV_WEIGHT_STAGES - 2>();
      sync();
      copy_step(true);
      const char* const a = patches + patch % buffers * patch_bytes;
      const char* const b = weights + step % PV_WEIGHT_STAGES * kStepBytes;
      const int shift = ky * down + (folded ? 0 : kx * across);
// Products of f32 are three times as many: unrolled, they need more registers and code than there
// is.
#pragma unroll(D == PV_F32 ? 1 : 2)
      for (int half = 0; half < 2; ++half) {
        uint32_t fa[2][4], fb[2][4];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int at = pixel[i] + shift, piece = half * 2 + piece_a;
          load_matrices(fa[i], folded ? a + at * pixel_bytes + kx * PV_K_BYTES + piece * 16
                                      : a + swizzled(at, piece));
        }
        if (folded) clear_beyond(row_bytes - kx * PV_K_BYTES - half * 32, fa);
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          load_matrices(fb[j], b + swizzled(row_b + j * 16, half * 2 + piece_b));
        }
        multiply<D>(sums, fa, fb);
      }
      if (++kx == steps_per_row) kx = 0, ++ky;
      if (ky == rows) ky = 0, ++patch;
    }
  }

  // Clears bytes of k from `bytes` on: pixels beside a folded window may be NaN, and no weight of
  // zero would hide that.
  PV_DEVICE void clear_beyond(int bytes, uint32_t (&a)[2][4]) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      if (r / 2 * 16 + thread % 4 * 4 >= bytes) a[0][r] = 0, a[1][r] = 0;
    }
  }
};

// A block's whole life with a tile. `around` calls what it gets, and may look at a clock before and
// after. The slots are those of this tick only once the launch before has ended; and every block
// waits for it, on every path: else its launch could end before the one that it depends on.
template <pv_dtype D, class Around>
PV_DEVICE void conv_block(const pv_program& p, const pv_tile& tile, char* shared, Around&& around) {
  Conv<D> conv(p, tile, shared);
  conv.prefetch();
  wait_previous_launch();
  const int64_t* const slots = p.slots + static_cast<int64_t>(tile.row) * p.n_reads;
  if (slots[p.ops[tile.op].write] < 0) return conv.drop();
  around([&] { conv.run(); });
}

}  // namespace pv
