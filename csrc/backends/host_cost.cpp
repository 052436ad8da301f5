// SPDX-License-Identifier: Apache-2.0
// The numbers are fitted to the layers of MobileNetV2, MoveNet, Par-Inception and Par-DenseNet at
// full size on Zen 4, with AVX-512 and with AVX2, where a multiply-add takes 0.018 ns; pools and
// depthwise layers on Zen 5, where one takes 0.008. Four of five layers lie within 15 % then, on
// either; pools, sums and depthwise layers within 25 to 50 %.
#include "backends/host_cost.hpp"

#include <algorithm>

#include "graph/cost_model.hpp"
#include "graph/infer.hpp"

namespace pvnet {
namespace {

constexpr double kStart = 20'000;                              // of any operation
constexpr double kDenseStart = 100'000, kDenseOut = 7;         // an output of a convolution
constexpr double kWeight = 9;                                  // a weight, from memory
constexpr double kDepthwiseIn = 4, kDepthwiseProduct = 2;      // a float, a multiply-add
constexpr double kWinogradStart = 100'000, kWinogradUnit = 1;  // of HostKernels::conv_cost
// Of pools: a float that is read; one of an earlier firing, which has left the caches; a float of a
// window, where windows share their columns and where they do not.
constexpr double kPoolFloat = 6, kOlderFloat = 25;
constexpr double kColumnTap = 1, kMaxTap = 3, kMeanTap = 5, kGlobalTap = 8;
constexpr double kMovedFloat = 7, kUpsampled = 16;
constexpr double kAddedFloat = 3;  // of a residual
constexpr double kExp = 64;
// Register tiles of vectors of 8 floats wait for loads where a block has one vector, not two.
constexpr double kWideBlock = 32, kNarrowLoss = 0.4;
// Of layers over 8 bits, with VNNI.
constexpr double kInt8Start = 40'000, kInt8Out = 4, kInt8DepthwiseOut = 15;

double elements(const Shape& s) { return static_cast<double>(s.c) * s.h * s.w; }

double conv_time(const HostKernels* kernels, const ConvShape& s, double read, double out,
                 double macs) {
  if (tile_size(s.algorithm) > 0) {
    return kWinogradStart + kWinogradUnit * kernels->conv_cost(s);
  }
  const bool depthwise = s.groups > 1 && s.groups == s.in_c && s.groups == s.out_c;
  if (s.algorithm == ConvAlgorithm::int8) {
    if (depthwise) return kStart + kInt8DepthwiseOut * out;
    return kInt8Start + kInt8Out * out + kernels->conv_cost(s);
  }
  if (depthwise) {
    return kStart + kDepthwiseIn * read + kDepthwiseProduct * macs;
  }
  // Channels that fill up vectors take their time, too.
  const auto weights = static_cast<double>(kernels->conv_packed_floats(s));
  const double pixels = static_cast<double>(s.out_h) * s.out_w;
  return kDenseStart + kDenseOut * out + weights * std::max(pixels, kWeight);
}

// Rows of packed weights and bias, in floats: how wide the vectors of all blocks are together.
double packed_width(const HostKernels* kernels, const ConvShape& s) {
  const double depth = static_cast<double>(s.in_c) * s.kt * s.kh * s.kw + 1;
  return static_cast<double>(kernels->conv_packed_floats(s)) / depth;
}

}  // namespace

// The last block of channels is as wide as its channels ask for. The kernels know how wide blocks
// are: they are asked about a layer of many.
TileShares tile_shares(const HostKernels* kernels, const ConvShape* conv, int tiles) {
  const TileShares even = {1, 1, 1.0 / tiles, 0};
  if (kernels == nullptr || conv == nullptr || conv->groups != 1) return even;
  if (conv->algorithm != ConvAlgorithm::direct) return even;
  constexpr int kMany = 1024;  // whole blocks of any kernel
  ConvShape one = *conv, many = *conv;
  one.out_c = 1;
  many.out_c = kMany;
  const int per_block = kernels->conv_tiles(one);
  const int blocks = tiles / per_block, of_many = kernels->conv_tiles(many) / per_block;
  if (blocks < 2 || blocks * per_block != tiles || of_many < 2) return even;
  const double width = packed_width(kernels, many) / of_many;
  double last = packed_width(kernels, *conv) / width - (blocks - 1);
  if (!(last > 0 && last < 1)) return even;
  if (width < kWideBlock) last += (1 - last) * kNarrowLoss;
  const double each = 1 / (per_block * (blocks - 1 + last));
  if (tiles_by_rows(*conv)) return {blocks, blocks - 1, each, each * last};
  return {tiles, per_block * (blocks - 1), each, each * last};
}

double host_cost(const HostKernels* kernels, const std::vector<Node>& nodes, int n,
                 const ConvShape& conv) {
  const Node& node = nodes[static_cast<size_t>(n)];
  if (is_free(node.op)) return 0;
  double read = 0;
  for (const Edge& e : node.inputs) {
    if (e.src >= 0) read += elements(nodes[static_cast<size_t>(e.src)].shape);
  }
  const double out = elements(node.shape);
  const Attrs& a = node.attrs;
  const double taps = static_cast<double>(a.kernel[0]) * a.kernel[1] * a.kernel[2];
  const bool is_conv = node.op == Op::conv3d || node.op == Op::linear;
  const double exps = has_exp(is_conv ? conv.act : a.act) ? kExp * out : 0;
  const double older = read * (a.kernel[0] - 1) * kOlderFloat;
  switch (node.op) {
    case Op::conv3d:
    case Op::linear:
      return exps + conv_time(kernels, conv, read, out, static_cast<double>(node.macs)) +
             (conv.residual ? kAddedFloat * out : 0);
    case Op::max_pool:
      return kStart + kPoolFloat * read + older +
             (a.kernel[0] > 1 ? kMaxTap : kColumnTap) * taps * out;
    case Op::avg_pool:
      return kStart + read + older + kMeanTap * taps * out;
    case Op::global_pool:
      return kStart + kGlobalTap * read * a.window;
    case Op::upsample:
      return kStart + kUpsampled * out;
    case Op::group_norm:
    case Op::layer_norm:  // mean, variance, result: each reads the map
      return kStart + exps + kMovedFloat * (read + 3 * out);
    default:
      return kStart + exps + kMovedFloat * (read + out);
  }
}

}  // namespace pvnet
