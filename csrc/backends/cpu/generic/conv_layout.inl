// SPDX-License-Identifier: Apache-2.0
// Blocks of output channels, packed weights, tiles.
//
// Packed weights of a dense convolution, group after group, block after block:
//   block = [bias: width][segment][kt][kh][kw][ic][width], width = 2 vectors, or 1 for a last block
//   that fits one. Channels beyond the last one are 0.
// One or two channels beyond whole vectors are apart, behind the others: [bias, weights] of each.
// Packed weights of a depthwise convolution: [bias: c'][kt][kh][kw][c'], c' = c rounded up, plus
// one vector so that a vector may be read at any channel.

constexpr int kBlockVecs = 2;
constexpr int kBlock = kBlockVecs * kVecWidth;

inline bool is_depthwise(const ConvShape& s) {
  return s.groups > 1 && s.groups == s.in_c && s.out_c == s.in_c;
}

// The most channels that are computed apart (conv_narrow.inl).
constexpr int kMostNarrow = 2;
// Theirs: [bias, weights of the window] of each.
struct NarrowWeights {
  const float* first;
  int64_t step;
  bool begins;  // else the sums lie in the scratch
};
inline int narrow_rest(int channels) {
  const int rest = channels % kVecWidth;
  return rest <= kVecWidth / 4 && rest <= kMostNarrow ? rest : 0;
}
inline int64_t whole_vectors(int64_t floats) {
  return (floats + kVecWidth - 1) / kVecWidth * kVecWidth;
}

struct Blocks {
  int oc = 0, ic = 0;  // channels of one group
  int per_group = 0;   // blocks of one group
  int64_t k = 0;       // reduction length: ic * kt * kh * kw
  int64_t group_floats = 0;

  explicit Blocks(const ConvShape& s)
      : oc(s.out_c / s.groups),
        ic(s.in_c / s.groups),
        per_group(ceil_div(oc, kBlock)),
        k(static_cast<int64_t>(ic) * s.kt * s.kh * s.kw),
        group_floats((k + 1) * kVecWidth * ((per_group - 1) * kBlockVecs + vecs(per_group - 1))) {
    group_floats += whole_vectors((k + 1) * narrow(per_group - 1));
  }
  int channels(int block) const { return imin(kBlock, oc - block * kBlock); }
  // Channels of a block that are computed apart. That takes a few sums of a vector's elements.
  int narrow(int block) const { return ic >= 2 * kVecWidth ? narrow_rest(channels(block)) : 0; }
  int vecs(int block) const { return ceil_div(channels(block) - narrow(block), kVecWidth); }
  int64_t offset(int block) const { return (k + 1) * kBlock * block; }
};

// Output rows of one tile: narrow maps take several, so that register tiles are full.
inline int tile_rows(const ConvShape& s) {
  const int rows = s.out_w <= 3 ? 4 : s.out_w <= 7 ? 2 : 1;
  return imin(rows, s.out_h);
}

inline int all_blocks(const ConvShape& s) { return s.groups * Blocks(s).per_group; }

// A tile of a dense convolution is a block of channels and tile_rows() rows.
int direct_tiles(const ConvShape& s) {
  if (is_depthwise(s)) return s.out_h;
  return all_blocks(s) * ceil_div(s.out_h, tile_rows(s));
}

inline int depthwise_stride(const ConvShape& s) { return ceil_div(s.in_c, kVecWidth) * kVecWidth; }

size_t direct_packed_floats(const ConvShape& s) {
  if (is_depthwise(s)) {
    return static_cast<size_t>(depthwise_stride(s)) * (s.kt * s.kh * s.kw + 1) + kVecWidth;
  }
  return static_cast<size_t>(Blocks(s).group_floats) * s.groups;
}

void depthwise_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  const int stride = depthwise_stride(s), taps = s.kt * s.kh * s.kw;
  for (size_t i = 0; i < direct_packed_floats(s); ++i) packed[i] = 0.0f;
  for (int c = 0; c < s.out_c; ++c) {
    packed[c] = bias[c];
    for (int t = 0; t < taps; ++t) {
      packed[static_cast<int64_t>(t + 1) * stride + c] = weight[static_cast<int64_t>(c) * taps + t];
    }
  }
}

// Writes one block from its output channels' weights, [oc][ic of the group][kt * kh * kw].
void pack_block(const ConvShape& s, const Blocks& b, int group, int n, int width,
                const float* weight, const float* bias, float* packed) {
  const int taps = s.kt * s.kh * s.kw;
  for (int o = 0; o < width; ++o) packed[o] = o < n ? bias[o] : 0.0f;
  float* dst = packed + width;
  int seg_lo = 0;
  for (int i = 0; i < s.n_segs; ++i) {
    const int lo = imax(seg_lo, group * b.ic), hi = imin(seg_lo + s.seg_c[i], (group + 1) * b.ic);
    for (int t = 0; t < taps; ++t) {
      for (int c = lo; c < hi; ++c) {
        const float* src = weight + static_cast<int64_t>(c - group * b.ic) * taps + t;
        for (int o = 0; o < width; ++o) *dst++ = o < n ? src[o * b.k] : 0.0f;
      }
    }
    seg_lo += s.seg_c[i];
  }
}

void direct_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  if (is_depthwise(s)) return depthwise_pack(s, weight, bias, packed);
  const Blocks b(s);
  for (int g = 0; g < s.groups; ++g) {
    for (int j = 0; j < b.per_group; ++j) {
      const int64_t oc = static_cast<int64_t>(g) * b.oc + j * kBlock;
      const int narrow = b.narrow(j), n = b.channels(j) - narrow, width = b.vecs(j) * kVecWidth;
      float* to = packed + g * b.group_floats + b.offset(j);
      if (width > 0) pack_block(s, b, g, n, width, weight + oc * b.k, bias + oc, to);
      to += (b.k + 1) * width;
      for (int64_t o = oc + n; o < oc + n + narrow; ++o, to += b.k + 1) {
        pack_block(s, b, g, 1, 1, weight + o * b.k, bias + o, to);
      }
    }
  }
}
