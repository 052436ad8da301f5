// SPDX-License-Identifier: Apache-2.0
// Convolution and pooling of whole clips, or of one tick, on borrowed arrays of any strides,
// through a backend's table. Copies frames into channels-last maps, runs the kernels, copies the
// results back; no Python, no GIL. Arguments have been checked by the caller.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "backends/kernel_api.hpp"

namespace pvnet::python {

struct Window {  // of a convolution or a pool, order (time, height, width)
  std::array<int, 3> kernel{1, 1, 1};
  std::array<int, 3> stride{1, 1, 1};
  std::array<int, 3> dilation{1, 1, 1};
  std::array<int, 2> padding{0, 0};
};

// Firings of `rows` videos: element (row, firing, c, y, x). Strides in elements.
struct Firings {
  float* data = nullptr;
  int64_t row_stride = 0, firing_stride = 0;
  int64_t strides[3] = {};  // c, h, w
  int c = 0, h = 0, w = 0;
};

// What is read: every firing f with 0 <= f <= newest; f lies at index f mod depth of `firings`.
struct Input {
  Firings firings;
  int rows = 0;
  int64_t depth = 0;
};

// What is written: one output for every tick of `ticks`, in order. Slices [c][h][w] are dense.
struct Output {
  float* data = nullptr;
  int64_t row_stride = 0, channel_stride = 0, firing_stride = 0;
  int c = 0, h = 0, w = 0;
  std::vector<int64_t> ticks;
};

struct ConvWeights {
  const float* weight = nullptr;  // [out_c, in_c / groups, kt, kh, kw], dense
  const float* bias = nullptr;    // [out_c], dense
  int groups = 1;
};

struct PoolKind {
  bool is_max = true;
  bool count_include_pad = true;
};

void run_conv(const HostKernels& kernels, const Input& in, const Window& window,
              const ConvWeights& weights, const Output& out, int threads);
void run_pool(const HostKernels& kernels, const Input& in, const Window& window, PoolKind kind,
              const Output& out, int threads);

}  // namespace pvnet::python
