// SPDX-License-Identifier: Apache-2.0
// Blocks of output channels, packed weights and tiles of convolutions over maps of 8 bits.
//
// Packed weights of a dense convolution, group after group, block after block, are
//   [scale: width][bias: width][corrections: segments x kt x width][words][width].
// A width is 2 vectors, or 1 for a last block that fits one. Output channels beyond the last are 0.
// One or two channels beyond whole vectors are apart where there is an instruction for four
// products: behind the others, each a block of width 1.
// A word is four neighbouring input channels of one tap; the last word of a segment's channels is
// filled up with zeros. A narrow map that lies without gaps (an RGB frame) has lines instead: a row
// of the window, [kw][ic], is cut into words as a whole.
//
// Products take elements from 0 to 255. So elements with a sign have 128 added where they are
// read, and the correction of their segment and temporal tap, 128 x the sum of weights, is taken
// from the sum. Where products take elements with a sign it is the other way round. Either way the
// highest bit flips.
//
// Where there is no instruction for four products, a word is two pairs of 16 bits: of the even
// elements, then of the odd ones.
//
// Packed weights of a depthwise convolution: [scale][bias][kt][kh][kw], each [c'] floats, as those
// over floats (conv_layout.inl); weights are counts of steps.

#ifdef PVNET_DOT_BYTES
constexpr int kWordParts = 1;
#else
constexpr int kWordParts = 2;
#endif

#ifdef PVNET_DOT_SIGNED
constexpr bool kSignedProducts = true;
#else
constexpr bool kSignedProducts = false;
#endif
inline bool flips(Dtype map) { return (map == Dtype::int8) != kSignedProducts; }

inline int words_of(int elements) { return ceil_div(elements, 4); }

struct QuadBlocks {
  int oc = 0, ic = 0;  // channels of one group
  int per_group = 0;   // blocks of one group
  bool lines = false;
  int tap_words = 0;  // of a tap; lines: of a row of the window
  int64_t words = 0;  // of a window
  int64_t heads = 0;  // vectors of a block, for each of its width, before the words
  int64_t rows = 0;   // the same of all of it
  int64_t group_floats = 0;

  explicit QuadBlocks(const ConvShape& s)
      : oc(s.out_c / s.groups), ic(s.in_c / s.groups), per_group(ceil_div(oc, kBlock)) {
    lines = s.n_segs == 1 && s.groups == 1 && s.dw == 1 && s.in_c < kWideChannels;
    for (int g = 0; g < s.groups; ++g) tap_words = imax(tap_words, words_of_tap(s, g));
    words = static_cast<int64_t>(s.kt) * s.kh * (lines ? 1 : s.kw) * tap_words;
    heads = 2 + static_cast<int64_t>(s.n_segs) * s.kt;
    rows = heads + words * kWordParts;
    group_floats = rows * kVecWidth * ((per_group - 1) * kBlockVecs + vecs(per_group - 1)) +
                   whole_vectors(rows * narrow(per_group - 1));
  }
  int channels(int block) const { return imin(kBlock, oc - block * kBlock); }
  int narrow(int block) const {
    const bool apart = kWordParts == 1 && ic >= 4 * kVecWidth;
    return apart ? narrow_rest(channels(block)) : 0;
  }
  int vecs(int block) const { return ceil_div(channels(block) - narrow(block), kVecWidth); }
  int64_t offset(int block) const { return rows * kBlock * block; }
  // Words of a tap that the group has; lines: of a row of the window.
  int words_of_tap(const ConvShape& s, int group) const {
    if (lines) return words_of(s.kw * ic);
    int sum = 0, c_lo = 0;
    for (int i = 0; i < s.n_segs; c_lo += s.seg_c[i++]) {
      const int lo = imax(c_lo, group * ic), hi = imin(c_lo + s.seg_c[i], (group + 1) * ic);
      if (lo < hi) sum += words_of(hi - lo);
    }
    return sum;
  }
};

size_t quad_depthwise_floats(const ConvShape& s) {
  return direct_packed_floats(s) + static_cast<size_t>(depthwise_stride(s));
}

size_t quad_packed_floats(const ConvShape& s) {
  return static_cast<size_t>(QuadBlocks(s).group_floats) * s.groups;
}

// Writes one block, element by element.
struct QuadPacker {
  const ConvShape& s;
  const QuadBlocks& b;
  int width;
  float* packed;

  // Of place `element` of word `word`.
  void put(int64_t word, int element, int channel, int weight) const {
    float* const words = packed + (b.heads + word * kWordParts) * width;
#ifdef PVNET_DOT_BYTES
    reinterpret_cast<int8_t*>(words + channel)[element] = static_cast<int8_t>(weight);
#else
    auto* const pair = reinterpret_cast<int16_t*>(words + element % 2 * width + channel);
    pair[element / 2] = static_cast<int16_t>(weight);
#endif
  }
  void correct(int seg, int tap, int channel, int weight) const {
    auto* const all = reinterpret_cast<int32_t*>(packed + 2 * width);
    all[(static_cast<int64_t>(seg) * s.kt + tap) * width + channel] += 128 * weight;
  }
  // The channels of one output, weight [ic][kt][kh][kw]; it belongs to `group`.
  void pack(int group, int channel, const float* weight) const {
    const int64_t taps = static_cast<int64_t>(s.kt) * s.kh * s.kw;
    const float inverse = inverse_of(packed[channel]);
    int64_t word = 0;
    for (int row = 0; row < s.kt * s.kh; ++row) {
      for (int kx = 0; kx < s.kw; ++kx) {
        const int64_t tap = static_cast<int64_t>(row) * s.kw + kx;
        int c_lo = 0;
        for (int i = 0; i < s.n_segs; c_lo += s.seg_c[i++]) {
          const int lo = imax(c_lo, group * b.ic), hi = imin(c_lo + s.seg_c[i], (group + 1) * b.ic);
          for (int c = lo; c < hi; ++c) {
            const int step = weight_step(weight[(c - group * b.ic) * taps + tap], inverse);
            const int at = b.lines ? kx * b.ic + c : c - lo;
            put(word + at / 4, at % 4, channel, step);
            correct(i, row / s.kh, channel, step);
          }
          if (!b.lines && lo < hi) word += words_of(hi - lo);
        }
        if (!b.lines) word += b.tap_words - b.words_of_tap(s, group);
      }
      if (b.lines) word += b.tap_words;
    }
  }
};

void quad_depthwise_pack(const ConvShape& s, const float* weight, const float* bias,
                         float* packed) {
  const int stride = depthwise_stride(s), taps = s.kt * s.kh * s.kw;
  for (size_t i = 0; i < quad_depthwise_floats(s); ++i) packed[i] = 0.0f;
  for (int c = 0; c < s.out_c; ++c) {
    const float* of = weight + static_cast<int64_t>(c) * taps;
    packed[c] = weight_scale(of, taps);
    packed[stride + c] = bias[c];
    const float inverse = inverse_of(packed[c]);
    for (int t = 0; t < taps; ++t) {
      packed[static_cast<int64_t>(t + 2) * stride + c] = weight_step(of[t], inverse);
    }
  }
}

void quad_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  const QuadBlocks b(s);
  const int64_t each = static_cast<int64_t>(b.ic) * s.kt * s.kh * s.kw;
  __builtin_memset(packed, 0, quad_packed_floats(s) * sizeof(float));
  for (int oc = 0; oc < s.out_c; ++oc) {
    const int group = oc / b.oc, j = oc % b.oc / kBlock, channel = oc % b.oc % kBlock;
    float* block = packed + group * b.group_floats + b.offset(j);
    const int of_vectors = b.channels(j) - b.narrow(j);
    const bool apart = channel >= of_vectors;
    const int width = apart ? 1 : b.vecs(j) * kVecWidth, at = apart ? 0 : channel;
    if (apart) block += b.rows * (b.vecs(j) * kVecWidth + channel - of_vectors);
    block[at] = weight_scale(weight + oc * each, each);
    block[width + at] = bias[oc];
    QuadPacker{s, b, width, block}.pack(group, at, weight + oc * each);
  }
}
