// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution over maps of 8 bits by products of four bytes, for windows of 3 x 3: 64
// channels at once, and what is left 16 at once. Included inside the target region of AVX-512 with
// VNNI.
//
// A word has one channel of three pixels below each other, and a zero. Words of a column serve
// every output whose window has the column. For 64 channels they come from interleaving bytes,
// which leaves channels in another order: in it scales and weights are packed, and packing results
// to bytes brings them back. For 16 channels bytes are widened instead, and order is kept.
//
// Packed weights, behind those of quad_layout.inl, for every 64 channels:
//   [scale][bias] floats, [correction] [kt] integers, [kt][kw] words, of 64 each.

constexpr int kDotChannels = 64;

inline bool is_dot_depthwise(const ConvShape& s) {
  return is_depthwise(s) && s.kh == 3 && s.kw == 3 && s.dw == 1 && s.n_segs == 1 &&
         (s.sw == 1 || s.sw == 2);
}

struct DotBlocks {
  int64_t first, each;  // floats
  int n, whole;         // whole: those of 64 channels

  explicit DotBlocks(const ConvShape& s)
      : first(static_cast<int64_t>(quad_depthwise_floats(s))),
        each(static_cast<int64_t>(2 + s.kt + s.kt * s.kw) * kDotChannels),
        n(ceil_div(s.in_c, kDotChannels)),
        whole(s.in_c / kDotChannels) {}
  int64_t floats() const { return each * n; }
};

// Where channel c of a whole block lies.
inline int dot_place(int c) { return c % 16 / 4 * 16 + c / 16 * 4 + c % 4; }

void dot_depthwise_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  const DotBlocks blocks(s);
  const int taps = s.kt * s.kh * s.kw;
  __builtin_memset(packed + blocks.first, 0, static_cast<size_t>(blocks.floats()) * sizeof(float));
  for (int c = 0; c < s.in_c; ++c) {
    const int b = c / kDotChannels;
    float* const block = packed + blocks.first + b * blocks.each;
    const int at = b < blocks.whole ? dot_place(c % kDotChannels) : c % kDotChannels;
    const float* of = weight + static_cast<int64_t>(c) * taps;
    block[at] = weight_scale(of, taps);
    block[kDotChannels + at] = bias[c];
    const float inverse = inverse_of(block[at]);
    auto* const corrections = reinterpret_cast<int32_t*>(block + 2 * kDotChannels) + at;
    float* const words = block + (2 + s.kt) * kDotChannels + at;
    for (int row = 0; row < s.kt * s.kh; ++row) {
      const int tap = row / s.kh;
      for (int kx = 0; kx < s.kw; ++kx) {
        const int8_t step = weight_step(of[row * s.kw + kx], inverse);
        float* const word = words + (tap * s.kw + kx) * kDotChannels;
        reinterpret_cast<int8_t*>(word)[row % s.kh] = step;
        corrections[tap * kDotChannels] += 128 * step;
      }
    }
  }
}

// A row of outputs, some channels of one block.
struct DotRow {
  const ConvArgs& a;
  const QuadEnd& end;
  const float* block;  // at its first channel's place
  int y, c, channels;
  int64_t step, below, out_step;  // bytes to the next pixel, and to that of the window below

  // Where the window of output (y, x) begins.
  const char* in(int tap, int x) const {
    const ConvShape& s = *a.shape;
    return reinterpret_cast<const char*>(a.segs[0].taps[tap]) + c +
           (y * s.sh - s.ph) * a.segs[0].g.row_stride + (x * s.sw - s.pw) * step;
  }
  char* out(int x) const {
    return reinterpret_cast<char*>(a.out.data) + y * end.g.row_stride + x * out_step + c;
  }
  bool sign() const { return a.segs[0].g.dtype == Dtype::int8; }
};

// What a kernel is made for: one temporal tap and all of its channels, of elements without or with
// a sign; or anything.
enum class DotInput : uint8_t { plain, signs, any };

// 16 channels of a pixel, those of `some`; the others are 0.
inline ivec dot_bytes_of(const char* p, __mmask16 some) {
  return some == 0xffff ? load_bytes<false>(p)
                        : widened_bytes<false>(_mm_maskz_loadu_epi8(some, p));
}

// The words of a column of three pixels. `some`: of channels that are there, of 16; flip: what is
// added to every byte, without carry.
inline void dot_words(const char* in, int64_t below, __mmask16 some, __m512i flip,
                      __m512i (&words)[1]) {
  const ivec p0 = dot_bytes_of(in, some), p1 = dot_bytes_of(in + below, some);
  words[0] = (__m512i)(p0 | (p1 << 8) | (dot_bytes_of(in + 2 * below, some) << 16)) ^ flip;
}
inline void dot_words(const char* in, int64_t below, __mmask16, __m512i flip, __m512i (&words)[4]) {
  const __m512i zero = _mm512_setzero_si512();
  const __m512i p0 = _mm512_loadu_si512(in) ^ flip, p1 = _mm512_loadu_si512(in + below) ^ flip;
  const __m512i p2 = _mm512_loadu_si512(in + 2 * below) ^ flip;
  const __m512i low01 = _mm512_unpacklo_epi8(p0, p1), low2 = _mm512_unpacklo_epi8(p2, zero);
  const __m512i high01 = _mm512_unpackhi_epi8(p0, p1), high2 = _mm512_unpackhi_epi8(p2, zero);
  words[0] = _mm512_unpacklo_epi16(low01, low2), words[1] = _mm512_unpackhi_epi16(low01, low2);
  words[2] = _mm512_unpacklo_epi16(high01, high2), words[3] = _mm512_unpackhi_epi16(high01, high2);
}

template <int V, int N, int SW>
__attribute__((always_inline)) inline void add_dots(const DotRow& r, const char* in,
                                                    const float* weights, __mmask16 some,
                                                    __m512i flip, __m512i (&acc)[N][V]) {
#pragma GCC unroll 16
  for (int q = 0; q < (N - 1) * SW + 3; ++q, in += r.step) {
    __m512i words[V];
    dot_words(in, r.below, some, flip, words);
#pragma GCC unroll 3
    for (int kx = 0; kx < 3; ++kx) {
      const int p = (q - kx) / SW;
      if (q < kx || (q - kx) % SW != 0 || p >= N) continue;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const __m512i w = _mm512_loadu_si512(weights + kx * kDotChannels + 16 * v);
        acc[p][v] = _mm512_dpbusd_epi32(acc[p][v], words[v], w);
      }
    }
  }
}

inline void store_dots(char* out, const QuadEnd&, __mmask16 some, const vec (&y)[1]) {
  const __m128i bytes = low_bytes(rounded_steps(y[0]));
  if (some == 0xffff) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
  } else {
    _mm_mask_storeu_epi8(out, some, bytes);
  }
}
inline __m512i dot_steps(vec y) {  // without a mask GCC 12 warns
  return _mm512_maskz_cvtps_epi32(static_cast<__mmask16>(-1), y);
}
inline void store_dots(char* out, const QuadEnd& end, __mmask16, const vec (&y)[4]) {
  const __m512i first = _mm512_packs_epi32(dot_steps(y[0]), dot_steps(y[1]));
  const __m512i last = _mm512_packs_epi32(dot_steps(y[2]), dot_steps(y[3]));
  const bool sign = end.g.dtype == Dtype::int8;
  _mm512_storeu_si512(out,
                      sign ? _mm512_packs_epi16(first, last) : _mm512_packus_epi16(first, last));
}

// Results of an activation that is more than limits.
__attribute__((noinline)) void activate_dots(const QuadEnd& end, vec* y, int n) {
  for (int i = 0; i < n; ++i) y[i] = activate(y[i], end.act, end.numbers);
}

// N outputs side by side from x on, SW pixels apart, of V x 16 channels.
template <int V, int N, int SW, DotInput INPUT>
void dot_pixels(const DotRow& r, int x) {
  const int kt = r.a.shape->kt;
  const bool all = INPUT != DotInput::any || r.channels >= 16;
  const auto some = static_cast<__mmask16>(all ? 0xffff : (1 << r.channels) - 1);
  const bool sign = INPUT == DotInput::signs || (INPUT == DotInput::any && r.sign());
  // The words of 16 channels have a byte that is none.
  const __m512i flip = _mm512_set1_epi32(!sign ? 0 : V == 1 ? 0x808080 : -0x7f7f7f80);
  __m512i acc[N][V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    acc[0][v] = _mm512_setzero_si512();
    for (int tap = 0; tap < (INPUT == DotInput::any ? kt : 1) && sign; ++tap) {
      if (INPUT == DotInput::any && r.a.segs[0].taps[tap] == nullptr) continue;
      const float* correction = r.block + (2 + tap) * kDotChannels + 16 * v;
      acc[0][v] = _mm512_sub_epi32(acc[0][v], _mm512_loadu_si512(correction));
    }
#pragma GCC unroll 4
    for (int p = 1; p < N; ++p) acc[p][v] = acc[0][v];
  }
  if constexpr (INPUT == DotInput::any) {
    for (int tap = 0; tap < kt; ++tap) {
      if (r.a.segs[0].taps[tap] == nullptr) continue;
      const float* const weights = r.block + (2 + kt + tap * 3) * kDotChannels;
      add_dots<V, N, SW>(r, r.in(tap, x), weights, some, flip, acc);
    }
  } else {
    const __m512i none = _mm512_setzero_si512();
    add_dots<V, N, SW>(r, r.in(0, x), r.block + 3 * kDotChannels, some, sign ? flip : none, acc);
  }
  const vec low = splat(r.end.low), high = splat(r.end.high), inverse = splat(r.end.steps.inverse);
  char* out = r.out(x);
#pragma GCC unroll 4
  for (int p = 0; p < N; ++p, out += r.out_step) {
    vec y[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      y[v] = fma(as_floats((ivec)acc[p][v]), load(r.block + 16 * v),
                 load(r.block + kDotChannels + 16 * v));
    }
    if (!r.end.limits) activate_dots(r.end, y, V);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      y[v] = y[v] * inverse;
      y[v] = y[v] > low ? y[v] : low;
      y[v] = y[v] < high ? y[v] : high;
    }
    store_dots(out, r.end, some, y);
  }
}

using DotKernel = void (*)(const DotRow&, int x);

// For 4, 2 and 1 outputs.
template <int V, int SW, DotInput INPUT>
constexpr DotKernel kDotDepthwise[3] = {dot_pixels<V, 4, SW, INPUT>, dot_pixels<V, 2, SW, INPUT>,
                                        dot_pixels<V, 1, SW, INPUT>};

template <int V, DotInput INPUT>
inline const DotKernel* dot_kernels_by_step(const ConvShape& s) {
  return s.sw == 1 ? kDotDepthwise<V, 1, INPUT> : kDotDepthwise<V, 2, INPUT>;
}
template <int V>
inline const DotKernel* dot_kernels(const ConvArgs& a, int channels) {
  const ConvShape& s = *a.shape;
  if (s.kt != 1 || a.segs[0].taps[0] == nullptr || channels < 16 * V) {
    return dot_kernels_by_step<V, DotInput::any>(s);
  }
  return a.segs[0].g.dtype == Dtype::int8 ? dot_kernels_by_step<V, DotInput::signs>(s)
                                          : dot_kernels_by_step<V, DotInput::plain>(s);
}

inline void dot_row(const DotRow& r, const DotKernel* kernels) {
  const int out_w = r.a.shape->out_w;
  int x = 0;
  for (; x + 4 <= out_w; x += 4) kernels[0](r, x);
  if (x + 2 <= out_w) kernels[1](r, x), x += 2;
  if (x < out_w) kernels[2](r, x);
}

// Into maps of 8 bits.
void dot_depthwise(const ConvArgs& a, int row_lo, int row_hi) {
  const ConvShape& s = *a.shape;
  const DotBlocks blocks(s);
  const QuadEnd end(s, a.out.g);
  const MapGeometry& g = a.segs[0].g;
  const int64_t step = g.pixel_stride, below = s.dh * g.row_stride;
  for (int y = row_lo; y < row_hi; ++y) {
    for (int c = 0; c < s.in_c;) {
      const bool whole = c / kDotChannels < blocks.whole;
      const int channels = whole ? kDotChannels : imin(16, s.in_c - c);
      const float* const block =
          a.packed + blocks.first + c / kDotChannels * blocks.each + c % kDotChannels;
      dot_row({a, end, block, y, c, channels, step, below, a.out.g.pixel_stride},
              whole ? dot_kernels<4>(a, channels) : dot_kernels<1>(a, channels));
      c += channels;
    }
  }
}
