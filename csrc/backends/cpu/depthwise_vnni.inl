// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution over maps of 8 bits by products of four bytes, for windows 3 wide: 64
// channels at once. Included inside the target region of AVX-512 with VNNI.
//
// Four neighbouring pixels are interleaved, so that a word has one channel of each. Their words
// serve two outputs side by side: with weights (w0, w1, w2, 0) and (0, w0, w1, w2). Interleaving
// leaves channels in another order, in which scales and weights are packed, and from which packing
// results to bytes brings them back.
//
// Packed weights, behind those of quad_layout.inl, for every 64 channels:
//   [scale][bias] floats, [correction] [kt] integers, [kt][kh][2] words, of 64 each.

constexpr int kDotChannels = 64;

inline bool is_dot_depthwise(const ConvShape& s) {
  return is_depthwise(s) && s.kw == 3 && s.dw == 1 && s.n_segs == 1 && (s.sw == 1 || s.sw == 2);
}

struct DotBlocks {
  int64_t first, each;  // floats
  int n;

  explicit DotBlocks(const ConvShape& s)
      : first(static_cast<int64_t>(quad_depthwise_floats(s))),
        each(static_cast<int64_t>(2 + s.kt + 2 * s.kt * s.kh) * kDotChannels),
        n(ceil_div(s.in_c, kDotChannels)) {}
  int64_t floats() const { return each * n; }
};

// Where channel c of 64 lies.
inline int dot_place(int c) { return c % 16 / 4 * 16 + c / 16 * 4 + c % 4; }

void dot_depthwise_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  const DotBlocks blocks(s);
  const int taps = s.kt * s.kh * s.kw;
  __builtin_memset(packed + blocks.first, 0, static_cast<size_t>(blocks.floats()) * sizeof(float));
  for (int c = 0; c < s.in_c; ++c) {
    float* const block = packed + blocks.first + c / kDotChannels * blocks.each;
    const int at = dot_place(c % kDotChannels);
    const float* of = weight + static_cast<int64_t>(c) * taps;
    block[at] = weight_scale(of, taps);
    block[kDotChannels + at] = bias[c];
    const float inverse = inverse_of(block[at]);
    auto* const corrections = reinterpret_cast<int32_t*>(block + 2 * kDotChannels) + at;
    float* const words = block + (2 + s.kt) * kDotChannels + at;
    for (int row = 0; row < s.kt * s.kh; ++row) {
      for (int kx = 0; kx < 3; ++kx) {
        const int8_t step = weight_step(of[row * 3 + kx], inverse);
        reinterpret_cast<int8_t*>(words + 2 * row * kDotChannels)[kx] = step;
        reinterpret_cast<int8_t*>(words + (2 * row + 1) * kDotChannels)[kx + 1] = step;
        corrections[row / s.kh * kDotChannels] += 128 * step;
      }
    }
  }
}

// A row of outputs, the channels of one block.
struct DotRow {
  const ConvArgs& a;
  const float* block;
  QuadEnd end;
  int y, c, channels;
};

// OUTPUTS side by side from x on (2 of windows one pixel apart), of elements with a SIGN or not.
template <int OUTPUTS, bool SIGN>
void dot_pixels(const DotRow& r, int x) {
  const ConvShape& s = *r.a.shape;
  const SegmentView& seg = r.a.segs[0];
  const int64_t step = seg.g.pixel_stride;
  const auto some = static_cast<__mmask64>(r.channels >= 64 ? ~0ull : (1ull << r.channels) - 1);
  const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i acc[OUTPUTS][4];
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) acc[0][v] = _mm512_setzero_si512();
  const float* words = r.block + (2 + s.kt) * kDotChannels;
  for (int tap = 0; tap < s.kt; ++tap) {
    if (seg.taps[tap] == nullptr) {
      words += 2 * s.kh * kDotChannels;
      continue;
    }
    if constexpr (SIGN) {
      const float* correction = r.block + (2 + tap) * kDotChannels;
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        acc[0][v] = _mm512_sub_epi32(acc[0][v], _mm512_loadu_si512(correction + 16 * v));
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < 4 && OUTPUTS == 2; ++v) acc[OUTPUTS - 1][v] = acc[0][v];
  words = r.block + (2 + s.kt) * kDotChannels;
  for (int tap = 0; tap < s.kt; ++tap) {
    if (seg.taps[tap] == nullptr) {
      words += 2 * s.kh * kDotChannels;
      continue;
    }
    for (int ky = 0; ky < s.kh; ++ky, words += 2 * kDotChannels) {
      const char* in = reinterpret_cast<const char*>(seg.taps[tap]) + r.c +
                       (r.y * s.sh + ky * s.dh - s.ph) * seg.g.row_stride +
                       (x * s.sw - s.pw) * step;
      __m512i p[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const int at = OUTPUTS == 2 || i < 3 ? i : 2;  // nothing beyond the window
        p[i] = _mm512_maskz_loadu_epi8(some, in + at * step);
        if constexpr (SIGN) p[i] = _mm512_xor_si512(p[i], sign);
      }
      const __m512i low01 = _mm512_unpacklo_epi8(p[0], p[1]);
      const __m512i high01 = _mm512_unpackhi_epi8(p[0], p[1]);
      const __m512i low23 = _mm512_unpacklo_epi8(p[2], p[3]);
      const __m512i high23 = _mm512_unpackhi_epi8(p[2], p[3]);
      const __m512i quads[4] = {
          _mm512_unpacklo_epi16(low01, low23), _mm512_unpackhi_epi16(low01, low23),
          _mm512_unpacklo_epi16(high01, high23), _mm512_unpackhi_epi16(high01, high23)};
#pragma GCC unroll 2
      for (int o = 0; o < OUTPUTS; ++o) {
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
          const __m512i w = _mm512_loadu_si512(words + o * kDotChannels + 16 * v);
          acc[o][v] = _mm512_dpbusd_epi32(acc[o][v], quads[v], w);
        }
      }
    }
  }
  const vec low = splat(r.end.low), high = splat(r.end.high), inverse = splat(r.end.steps.inverse);
#pragma GCC unroll 2
  for (int o = 0; o < OUTPUTS; ++o) {
    __m512i steps[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      vec y = fma(as_floats((ivec)acc[o][v]), load(r.block + 16 * v),
                  load(r.block + kDotChannels + 16 * v));
      if (!r.end.limits) y = activate(y, r.end.act, r.end.numbers);
      y = y * inverse;
      y = y > low ? y : low;
      y = y < high ? y : high;
      steps[v] = _mm512_maskz_cvtps_epi32(static_cast<__mmask16>(-1), y);
    }
    const __m512i first = _mm512_packs_epi32(steps[0], steps[1]);
    const __m512i last = _mm512_packs_epi32(steps[2], steps[3]);
    const __m512i bytes = r.end.g.dtype == Dtype::uint8 ? _mm512_packus_epi16(first, last)
                                                        : _mm512_packs_epi16(first, last);
    char* const out = reinterpret_cast<char*>(r.a.out.data) + r.y * r.end.g.row_stride +
                      (x + o) * r.end.g.pixel_stride + r.c;
    _mm512_mask_storeu_epi8(out, some, bytes);
  }
}

template <bool SIGN>
void dot_row(const DotRow& r) {
  const ConvShape& s = *r.a.shape;
  int x = 0;
  if (s.sw == 1) {
    for (; x + 2 <= s.out_w; x += 2) dot_pixels<2, SIGN>(r, x);
  }
  for (; x < s.out_w; ++x) dot_pixels<1, SIGN>(r, x);
}

// Into maps of 8 bits.
void dot_depthwise(const ConvArgs& a, int row_lo, int row_hi) {
  const ConvShape& s = *a.shape;
  const DotBlocks blocks(s);
  const QuadEnd end(s, a.out.g);
  for (int y = row_lo; y < row_hi; ++y) {
    for (int b = 0; b < blocks.n; ++b) {
      const int c = b * kDotChannels;
      const DotRow row{a, a.packed + blocks.first + b * blocks.each, end, y, c, s.in_c - c};
      if (a.segs[0].g.dtype == Dtype::int8) {
        dot_row<true>(row);
      } else {
        dot_row<false>(row);
      }
    }
  }
}
