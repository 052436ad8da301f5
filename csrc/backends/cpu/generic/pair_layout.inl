// SPDX-License-Identifier: Apache-2.0
// Blocks of output channels, packed weights and tiles of convolutions over bf16.
//
// Packed weights of a dense convolution, group after group, block after block:
//   block = [bias: width floats][kt][kh][words][width], width = 2 vectors, or 1 for a last block
//   that fits one. Output channels beyond the last one are 0.
// One or two channels beyond whole vectors are apart, behind the others: [bias, words] of each.
// A word is two neighbours of a row of the window, [kw][ic] taken as one line; the last one of an
// odd line has a 0 in its high half. So a line of few channels, as of an RGB frame, wastes nothing,
// and the size does not depend on segments.
//
// Packed weights of a depthwise convolution are floats, rounded as elements are. The usual windows
// have theirs block of elements after block, in the order in which blocks are unpacked
// (element_bf16.inl).
//   block = [bias: block][kt][pairs of rows, then a single one][kw][block]
// Where an instruction multiplies pairs, a pair of rows has words: elements of the first row are in
// the low half. Elsewhere every row is single. Other windows, and several segments, have theirs as
// floats do (conv_layout.inl). The room is for either.
//
// Tiles are those of floats, and so are blocks of output channels.

struct PairBlocks {
  int oc = 0, ic = 0;   // channels of one group
  int per_group = 0;    // blocks of one group
  bool apart;           // whether a few channels may be computed apart
  int64_t line = 0;     // words of a row of the window
  int64_t k = 0;        // words of the window
  int64_t group_words;  // and floats

  explicit PairBlocks(const ConvShape& s)
      : oc(s.out_c / s.groups),
        ic(s.in_c / s.groups),
        per_group(ceil_div(oc, kBlock)),
        apart(s.kw == 1 && ic >= 4 * kVecWidth),
        line((static_cast<int64_t>(s.kw) * ic + 1) / 2),
        k(line * s.kt * s.kh),
        group_words((k + 1) * kVecWidth * ((per_group - 1) * kBlockVecs + vecs(per_group - 1))) {
    group_words += whole_vectors((k + 1) * narrow(per_group - 1));
  }
  int channels(int block) const { return imin(kBlock, oc - block * kBlock); }
  int narrow(int block) const { return apart ? narrow_rest(channels(block)) : 0; }
  int vecs(int block) const { return ceil_div(channels(block) - narrow(block), kVecWidth); }
  int64_t offset(int block) const { return (k + 1) * kBlock * block; }
};

#ifdef PVNET_DOT_PAIRS
constexpr bool kPairRows = true;
#else
constexpr bool kPairRows = false;
#endif

inline int element_blocks(const ConvShape& s) { return ceil_div(s.in_c, kBlockElements); }

// Rows of a window as they are packed: two in one, or one.
inline int packed_rows(const ConvShape& s) { return kPairRows ? ceil_div(s.kh, 2) : s.kh; }

// Of floats and words, of one block of a usual window.
inline int64_t block_words(const ConvShape& s) {
  return (static_cast<int64_t>(s.kt) * packed_rows(s) * s.kw + 1) * kBlockElements;
}

inline bool has_usual_window(const ConvShape& s) {
  return s.n_segs == 1 && s.dw == 1 && (s.sw == 1 || s.sw == 2) && (s.kw == 3 || s.kw == 5);
}

size_t pair_packed_floats(const ConvShape& s) {
  if (is_depthwise(s)) {
    const int64_t taps = static_cast<int64_t>(s.kt) * s.kh * s.kw;
    return static_cast<size_t>(element_blocks(s) * kBlockElements * (taps + 1) + kVecWidth);
  }
  return static_cast<size_t>(PairBlocks(s).group_words) * s.groups;
}

// Writes one block from the weights of its n output channels, [n][ic][kt][kh][kw].
void pack_pairs(const ConvShape& s, const PairBlocks& b, int n, int width, const float* weight,
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

// Channel c of a usual window: weight is [kt][kh][kw].
void pack_channel(const ConvShape& s, int c, const float* weight, float bias, float* packed) {
  float* to = packed + c / kBlockElements * block_words(s) + place_in_block(c % kBlockElements);
  *to = bias;
  to += kBlockElements;
  for (int tap = 0; tap < s.kt; ++tap) {
    for (int ky = 0; ky < s.kh; weight += s.kw) {
      const bool pair = kPairRows && ky + 1 < s.kh;
      for (int kx = 0; kx < s.kw; ++kx, to += kBlockElements) {
        const uint32_t first = to_elem(weight[kx]).bits;
        const uint32_t word =
            pair ? first | uint32_t{to_elem(weight[s.kw + kx]).bits} << 16 : first << 16;
        *to = __builtin_bit_cast(float, word);
      }
      ky += pair ? 2 : 1;
      weight += pair ? s.kw : 0;
    }
  }
}

void pair_depthwise_pack(const ConvShape& s, const float* weight, const float* bias,
                         float* packed) {
  const size_t floats = pair_packed_floats(s);
  for (size_t i = 0; i < floats; ++i) packed[i] = 0.0f;
  if (has_usual_window(s)) {
    const int64_t taps = static_cast<int64_t>(s.kt) * s.kh * s.kw;
    for (int c = 0; c < s.out_c; ++c) pack_channel(s, c, weight + c * taps, bias[c], packed);
    return;
  }
  depthwise_pack(s, weight, bias, packed);
  for (size_t i = depthwise_stride(s); i < floats; ++i) packed[i] = to_float(to_elem(packed[i]));
}

void pair_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  if (is_depthwise(s)) return pair_depthwise_pack(s, weight, bias, packed);
  const PairBlocks b(s);
  const int64_t each = static_cast<int64_t>(b.ic) * s.kt * s.kh * s.kw;
  for (int g = 0; g < s.groups; ++g) {
    for (int j = 0; j < b.per_group; ++j) {
      const int64_t oc = static_cast<int64_t>(g) * b.oc + j * kBlock;
      const int narrow = b.narrow(j), n = b.channels(j) - narrow, width = b.vecs(j) * kVecWidth;
      float* to = packed + g * b.group_words + b.offset(j);
      if (width > 0) pack_pairs(s, b, n, width, weight + oc * each, bias + oc, to);
      to += (b.k + 1) * width;
      for (int64_t o = oc + n; o < oc + n + narrow; ++o, to += b.k + 1) {
        pack_pairs(s, b, 1, 1, weight + o * each, bias + o, to);
      }
    }
  }
}
