// SPDX-License-Identifier: Apache-2.0
// Blocks of output channels, packed weights and tiles of convolutions over bf16.
//
// Packed weights of a dense convolution, group after group, block after block:
//   block = [bias: width floats][kt][kh][words][width], width = 2 vectors, or 1 for a last block
//   that fits one. Output channels beyond the last one are 0.
// A word is two neighbours of a row of the window, [kw][ic] taken as one line; the last one of an
// odd line has a 0 in its high half. So a line of few channels, as of an RGB frame, wastes nothing,
// and the size does not depend on segments.
//
// Packed weights of a depthwise convolution: floats, rounded as elements are,
// [bias: c'][kt][kh][kw][c'], c' = c rounded up, plus one vector so that a vector may be read at
// any channel.

constexpr int kBlockVecs = 2;
constexpr int kBlock = kBlockVecs * kVecWidth;

inline bool is_depthwise(const ConvShape& s) {
  return s.groups > 1 && s.groups == s.in_c && s.out_c == s.in_c;
}

struct Blocks {
  int oc = 0, ic = 0;   // channels of one group
  int per_group = 0;    // blocks of one group
  int64_t line = 0;     // words of a row of the window
  int64_t k = 0;        // words of the window
  int64_t group_words;  // and floats

  explicit Blocks(const ConvShape& s)
      : oc(s.out_c / s.groups),
        ic(s.in_c / s.groups),
        per_group(ceil_div(oc, kBlock)),
        line((static_cast<int64_t>(s.kw) * ic + 1) / 2),
        k(line * s.kt * s.kh),
        group_words((k + 1) * kVecWidth * ((per_group - 1) * kBlockVecs + vecs(per_group - 1))) {}
  int channels(int block) const { return imin(kBlock, oc - block * kBlock); }
  int vecs(int block) const { return channels(block) > kVecWidth ? 2 : 1; }
  int64_t offset(int block) const { return (k + 1) * kBlock * block; }
};

// Output rows of one tile: narrow maps take several, so that register tiles are full.
inline int tile_rows(const ConvShape& s) {
  const int rows = s.out_w <= 3 ? 4 : s.out_w <= 7 ? 2 : 1;
  return imin(rows, s.out_h);
}

int conv_tiles(const ConvShape& s) {
  if (is_depthwise(s)) return s.out_h;
  return s.groups * Blocks(s).per_group * ceil_div(s.out_h, tile_rows(s));
}

inline int depthwise_stride(const ConvShape& s) { return ceil_div(s.in_c, kVecWidth) * kVecWidth; }

size_t conv_packed_floats(const ConvShape& s) {
  if (is_depthwise(s)) {
    return static_cast<size_t>(depthwise_stride(s)) * (s.kt * s.kh * s.kw + 1) + kVecWidth;
  }
  return static_cast<size_t>(Blocks(s).group_words) * s.groups;
}

void depthwise_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  const int stride = depthwise_stride(s), taps = s.kt * s.kh * s.kw;
  for (size_t i = 0; i < conv_packed_floats(s); ++i) packed[i] = 0.0f;
  for (int c = 0; c < s.out_c; ++c) {
    packed[c] = bias[c];
    for (int t = 0; t < taps; ++t) {
      packed[static_cast<int64_t>(t + 1) * stride + c] =
          to_float(to_elem(weight[static_cast<int64_t>(c) * taps + t]));
    }
  }
}

// Writes one block from the weights of its n output channels, [n][ic][kt][kh][kw].
void pack_block(const ConvShape& s, const Blocks& b, int n, int width, const float* weight,
                const float* bias, float* packed) {
  for (int o = 0; o < width; ++o) packed[o] = o < n ? bias[o] : 0.0f;
  auto* const words = reinterpret_cast<uint32_t*>(packed) + width;
  const int64_t taps = static_cast<int64_t>(s.kt) * s.kh * s.kw;
  for (int row = 0; row < s.kt * s.kh; ++row) {
    uint32_t* line = words + row * b.line * width;
    for (int64_t i = 0; i < b.line * width; ++i) line[i] = 0;
    for (int i = 0; i < s.kw * b.ic; ++i) {
      const float* src = weight + (i % b.ic) * taps + row * s.kw + i / b.ic;
      uint32_t* to = line + static_cast<int64_t>(i / 2) * width;
      for (int o = 0; o < n; ++o) {
        to[o] |= static_cast<uint32_t>(to_elem(src[o * b.ic * taps]).bits) << (i % 2 * 16);
      }
    }
  }
}

void conv_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  if (is_depthwise(s)) return depthwise_pack(s, weight, bias, packed);
  const Blocks b(s);
  const int64_t each = static_cast<int64_t>(b.ic) * s.kt * s.kh * s.kw;
  for (int g = 0; g < s.groups; ++g) {
    for (int j = 0; j < b.per_group; ++j) {
      const int64_t oc = static_cast<int64_t>(g) * b.oc + j * kBlock;
      pack_block(s, b, b.channels(j), b.vecs(j) * kVecWidth, weight + oc * each, bias + oc,
                 packed + g * b.group_words + b.offset(j));
    }
  }
}

size_t conv_scratch_floats(const ConvShape&) { return 0; }

// In multiply-adds. Tiles would have to round what they transform.
double conv_cost(const ConvShape& s) {
  if (s.algorithm != ConvAlgorithm::direct) return __builtin_inf();
  return static_cast<double>(s.in_c / s.groups) * s.kt * s.kh * s.kw * s.out_h * s.out_w * s.out_c;
}
