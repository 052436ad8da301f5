// SPDX-License-Identifier: Apache-2.0
// What a backend on the host implements: plain functions over plain structs. No graph, no plan, no
// allocation, no state: everything a kernel may touch is in its arguments.
//
// Memory layout of a value ("map"): one ring slot is [halo_h + h + halo_h][halo_w + w + halo_w][c]
// elements, channels last, `pixel_stride` >= c elements from pixel to pixel. The halo is zero, so a
// convolution reads its spatial padding where it lies. Kernels write interior pixels and channels
// [0, c) only, with one freedom: channels [c, pixel_stride) are padding that may hold anything.
//
// Elements are of the table's dtype (element.hpp). A pointer to a map says `float` in every table;
// one of another dtype takes it for the address of its own elements. Weights of channels, scales,
// shifts and scratch are floats in every table.
//
// Tables of dtype int8 take maps of several kinds, as their geometry says: of f32, and of 8 bits
// with a scale (int8.hpp). Only their convolutions are told by the shape's algorithm what they
// read: f32 maps, and store such, or maps of 8 bits (ConvAlgorithm::int8), and store any.
#pragma once

#include <cstddef>
#include <cstdint>

#include "graph/graph.hpp"

#include "backends/algorithm.hpp"
#include "backends/layout.hpp"

namespace pvnet {

struct MapGeometry {
  int h = 0, w = 0, c = 0;
  int halo_h = 0, halo_w = 0;
  int64_t pixel_stride = 0;  // elements
  int64_t row_stride = 0;    // elements
  // Tables of dtype int8: f32, int8 or uint8, and what a step of 8 bits stands for.
  Dtype dtype = Dtype::f32;
  float scale = 1.0f;
};

struct MapView {
  MapGeometry g;
  float* data = nullptr;  // pixel (0, 0), channel 0 (not the halo)
};

// One segment of an operation's input: `g.c` channels of one producer, read at several taps.
// taps[j] pairs with temporal weight j; the last tap is the newest firing. nullptr = that firing
// does not exist (before the stream began): its value is 0.
struct SegmentView {
  MapGeometry g;
  const float* const* taps = nullptr;  // [n_taps], each at pixel (0, 0), channel 0
};

// What kernels are told of an activation besides its name.
struct ActNumbers {
  float a = 0.0f, b = 0.0f;  // clamp: low, high; leaky_relu, elu: slope, 0
  bool operator==(const ActNumbers&) const = default;
};

struct ConvShape {
  int in_h = 0, in_w = 0, in_c = 0;
  int out_h = 0, out_w = 0, out_c = 0;
  int kt = 1, kh = 1, kw = 1;
  int sh = 1, sw = 1;
  int ph = 0, pw = 0;  // input halo is at least this
  int dh = 1, dw = 1;
  int groups = 1;
  Act act = Act::none;         // not softmax
  const int* seg_c = nullptr;  // [n_segs] channels of each segment, summing to in_c
  int n_segs = 0;
  ActNumbers numbers;  // of act
  ConvAlgorithm algorithm = ConvAlgorithm::direct;
  bool residual = false;  // a map is added in front of the activation
  Stored alone;           // tables of dtype int8: what it would store if nothing were added
};

// Which of the two numbers the tiles of a direct convolution go by first: lanes take tiles that are
// neighbours. Lanes that share the rows of a map find most of what they read in their own cache,
// for they have computed it; lanes that share output channels read a map whole. That is the less
// where weights are many: those are then read once and not by every lane.
constexpr bool tiles_by_rows(const ConvShape& s) {
  constexpr int64_t kWeights = 4;  // for an element that is read
  const int64_t taps = int64_t{s.kh} * s.kw;
  return taps * s.out_c / s.groups <= kWeights * s.in_h * s.in_w;
}

// As large as the output. It is added to what the convolution alone would store, rounded as that:
// so one operation gives the bits of the two that it stands for. In tables of dtype int8 only
// convolutions over 8 bits add, and none that are depthwise.
struct ResidualView {
  MapGeometry g;
  const float* data = nullptr;  // pixel (0, 0), channel 0; nullptr reads as 0
};

struct ConvArgs {
  const ConvShape* shape = nullptr;
  const SegmentView* segs = nullptr;  // [shape->n_segs]
  const float* packed = nullptr;      // written by conv_pack
  MapView out;
  float* scratch = nullptr;  // [conv_scratch_floats], 64-byte aligned; of one call at a time
  ResidualView residual;     // where shape->residual
};

// Pooling of one segment into channels [out_c0, out_c0 + seg.g.c) of `out`. Missing taps count as
// zeros (also for max); pixels outside the map do not take part in max and count as zeros in avg
// (divided by kt*kh*kw if count_include_pad, else by kt * pixels inside the map).
struct PoolArgs {
  bool is_max = true;
  bool count_include_pad = true;
  int kt = 1, kh = 1, kw = 1, sh = 1, sw = 1, ph = 0, pw = 0, dh = 1, dw = 1;
  SegmentView seg;
  MapView out;
  int out_c0 = 0;
};

// out[.., out_c0 + i] = act(op(x0[.., c0[0] + i], x1[.., c0[1] + i], ...)), i in [0, c). A [c,1,1]
// operand is broadcast over pixels; an operand whose g.c == 1 while c > 1 is broadcast over
// channels. data == nullptr reads as 0.
// scale: x0 * x1 + x2. prelu: x0, below 0 times x1. Here x1 and x2 are weights of channels: floats.
enum class EltOp : uint8_t { copy, add, mul, sub, div, scale, prelu };
constexpr int kMaxOperands = 16;
struct EltwiseArgs {
  EltOp op = EltOp::copy;
  Act act = Act::none;  // not softmax
  ActNumbers numbers;   // of act
  int n = 0;
  MapGeometry g[kMaxOperands];
  const float* data[kMaxOperands] = {};
  int c0[kMaxOperands] = {};
  int c = 0;
  MapView out;
  int out_c0 = 0;
};

// Nearest (floor) or bilinear, as torch.nn.functional.interpolate.
struct UpsampleArgs {
  Interp mode = Interp::nearest;
  MapGeometry g;
  const float* data = nullptr;  // nullptr reads as 0
  MapView out;
  int out_c0 = 0;              // writes channels [out_c0, out_c0 + g.c)
  bool align_corners = false;  // bilinear
};

// Mean over pixels and taps; missing taps count as zeros. Writes out channels [out_c0, +seg.g.c).
struct GlobalPoolArgs {
  int window = 1;
  SegmentView seg;  // [window] taps
  MapView out;      // h == w == 1
  int out_c0 = 0;
};

// out[.., out_c0 + i] = x[.., i] * scale[i] + shift[i]
struct AffineArgs {
  MapGeometry g;
  const float* data = nullptr;  // nullptr reads as 0
  const float* scale = nullptr;
  const float* shift = nullptr;
  MapView out;
  int out_c0 = 0;
};

// Softmax over the channels of every pixel; in place (after a copy of the segments into out).
struct SoftmaxArgs {
  MapView out;
};

// Values of the segments, taken together, at other places; nothing is computed. In torch's words:
// F.pad, x[index], F.pixel_shuffle, F.pixel_unshuffle.
enum class MoveOp : uint8_t { pad, select, depth_to_space, space_to_depth };
struct MoveArgs {
  MoveOp op = MoveOp::pad;
  const SegmentView* segs = nullptr;  // [n_segs], one tap each
  int n_segs = 0;
  MapView out;
  int top = 0, left = 0;  // pad; negative: rows and columns that are left out
  PadMode mode = PadMode::zeros;
  float value = 0.0f;          // pad: of what lies outside
  const int* index = nullptr;  // select: [out.g.c] channels of all segments
  int block = 1;               // depth_to_space, space_to_depth
};

// act((x - mean) / sqrt(variance + eps) * weight + bias), in place (after a copy of the segments
// into out). group_norm: mean and variance over pixels and the channels of a group; a tile is a
// group. layer_norm: over the channels of a pixel.
struct NormArgs {
  MapView out;
  int groups = 1;
  double eps = 0;
  const float* weight = nullptr;  // [out.g.c]
  const float* bias = nullptr;
  Act act = Act::none;  // not softmax
  ActNumbers numbers;   // of act
};

// Output channels of a tile of a convolution that transforms its input: tiles of all channels lie
// side by side, and who computes several transforms once.
constexpr int kTransformedUnit = 16;

// Tiles: the unit of work that may be given to a lane. Conv: conv_tiles(shape) of them; every other
// op: one tile per output row, but for group_norm. A kernel called with [lo, hi) computes exactly
// those tiles, and the bits of a tile depend neither on lo and hi nor on who computes it.
struct HostKernels {
  const char* name;  // "ref", "cpu"
  const char* isa;   // "scalar", "avx2", "avx512", "neon"
  size_t (*conv_packed_floats)(const ConvShape&);
  // weight: [out_c, in_c / groups, kt, kh, kw], bias: [out_c] (never null)
  void (*conv_pack)(const ConvShape&, const float* weight, const float* bias, float* packed);
  int (*conv_tiles)(const ConvShape&);
  // What one call needs beside its maps; whatever lies there.
  size_t (*conv_scratch_floats)(const ConvShape&);
  // About how long, in multiply-adds of a good direct convolution; infinite where the kernels do
  // not have the shape's algorithm for it.
  double (*conv_cost)(const ConvShape&);
  void (*conv)(const ConvArgs&, int lo, int hi);
  void (*pool)(const PoolArgs&, int row_lo, int row_hi);
  void (*eltwise)(const EltwiseArgs&, int row_lo, int row_hi);
  void (*upsample)(const UpsampleArgs&, int row_lo, int row_hi);
  void (*global_pool)(const GlobalPoolArgs&);
  void (*affine)(const AffineArgs&, int row_lo, int row_hi);
  void (*softmax)(const SoftmaxArgs&, int row_lo, int row_hi);
  // Frames in and out. u8: [h][w][c] with a row pitch in bytes -> x * scale[c] + shift[c].
  void (*load_u8)(const uint8_t* src, int64_t pitch_bytes, const float* scale, const float* shift,
                  const MapView& out);
  // f32 with arbitrary strides in elements (c, h, w).
  void (*load_f32)(const float* src, const int64_t strides[3], const MapView& out);
  // Rows of a map into dst, a contiguous [c][h][w]; data == nullptr writes zeros.
  void (*store_f32)(const MapGeometry& g, const float* data, float* dst, int row_lo, int row_hi);
  // Fused multiply-adds in registers and nothing else: returns the operations done in `rounds`
  // rounds (a few hundred each). Timed, it is the peak that a benchmark prints beside its numbers.
  double (*fma_block)(int64_t rounds);
  void (*move)(const MoveArgs&, int row_lo, int row_hi);
  void (*group_norm)(const NormArgs&, int group_lo, int group_hi);
  void (*layer_norm)(const NormArgs&, int row_lo, int row_hi);
  Dtype dtype = Dtype::f32;  // of the elements of maps
};

// Kernels on the host have tables for these; the one without rounding first.
inline constexpr Dtype kHostDtypes[] = {Dtype::f32, Dtype::bf16, Dtype::int8};

// Narrower maps lie without gaps between their pixels.
inline constexpr int kWideChannels = 8;

// The naive oracle, always there.
const HostKernels& ref_kernels(Dtype dtype = Dtype::f32);
// The fast CPU backend for `isa` ("" = the best this machine has, or PVNET_CPU_ISA); nullptr with a
// message in *why when this machine or build lacks it.
const HostKernels* cpu_kernels(const char* isa, const char** why, Dtype dtype = Dtype::f32);
// Instruction sets of this build that this machine can run, best first, nullptr-terminated.
const char* const* cpu_isas();

}  // namespace pvnet
