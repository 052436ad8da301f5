// SPDX-License-Identifier: Apache-2.0
// Elements of maps are bf16: widened when they are loaded, rounded to nearest, ties to even, when
// they are stored. Here are also the products of two of them at once.

struct elem {
  uint16_t bits;
};
typedef uint16_t hvec __attribute__((vector_size(2 * kVecWidth)));
typedef uint16_t hvec_unaligned __attribute__((vector_size(2 * kVecWidth), aligned(2), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * kVecWidth)));
typedef uint32_t uvec_unaligned __attribute__((vector_size(4 * kVecWidth), aligned(4), may_alias));

inline const elem* elems(const float* p) { return reinterpret_cast<const elem*>(p); }
inline elem* elems(float* p) { return reinterpret_cast<elem*>(p); }

inline float to_float(elem x) { return __builtin_bit_cast(float, uint32_t{x.bits} << 16); }
inline elem to_elem(float x) {
  const auto u = __builtin_bit_cast(uint32_t, x);
  const uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  return {static_cast<uint16_t>(x == x ? rounded : (u >> 16) | 0x40)};
}

using source = const elem*;
using target = elem*;
inline source elems(const MapGeometry&, const float* p) { return elems(p); }
inline target elems(const MapGeometry&, float* p) { return elems(p); }
inline float value_at(source in, int64_t i) { return to_float(in[i]); }
inline void set_value(target out, int64_t i, float x) { out[i] = to_elem(x); }

inline vec widened(hvec h) { return (vec)(__builtin_convertvector(h, uvec) << 16); }

// In the low half of a word.
inline uvec rounded_words(vec x) {
  const uvec u = (uvec)x;
  const uvec nearest = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  return x == x ? nearest : (u >> 16) | 0x40;
}
#ifdef PVNET_DOT_PAIRS
inline hvec rounded(vec x) { return (hvec)_mm512_cvtneps_pbh(x); }
#else
inline hvec rounded(vec x) { return __builtin_convertvector(rounded_words(x), hvec); }
#endif

// What a load gives after a store.
inline vec as_stored(vec x) { return widened(rounded(x)); }

inline vec load(const elem* p) { return widened(*reinterpret_cast<const hvec_unaligned*>(p)); }
inline void store(elem* p, vec v) { *reinterpret_cast<hvec_unaligned*>(p) = rounded(v); }

#ifdef PVNET_MASKED_ELEMENTS
inline vec load_partial(const elem* p, int n) {
  return widened((hvec)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1u), p));
}
inline void store_partial(elem* p, vec v, int n) {
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1u), (__m256i)rounded(v));
}
#else
inline vec load_partial(const elem* p, int n) {
  hvec h = {};
  for (int i = 0; i < n; ++i) h[i] = p[i].bits;
  return widened(h);
}
inline void store_partial(elem* p, vec v, int n) {
  const hvec h = rounded(v);
  for (int i = 0; i < n; ++i) p[i].bits = h[i];
}
#endif

inline vec load_n(const elem* p, int n) { return n >= kVecWidth ? load(p) : load_partial(p, n); }
inline void store_n(elem* p, vec v, int n) {
  if (n >= kVecWidth) {
    store(p, v);
  } else {
    store_partial(p, v, n);
  }
}

// Words are pairs of elements, the first one in the low half.
inline uvec load_words(const uint32_t* p) { return *reinterpret_cast<const uvec_unaligned*>(p); }
inline uvec splat_word(uint32_t x) { return uvec{} + x; }

// sum + the products of both halves.
#ifdef PVNET_DOT_PAIRS
inline vec dot(vec sum, uvec x, uvec w) { return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w); }
// Of the lower half of a vector; the upper one may be anything.
constexpr bool kHalfDots = true;
inline vec half_dot(vec sum, uvec x, uvec w) {  // as add_half_product
  __asm__("vdpbf16ps %t2, %t1, %t0" : "+v"(sum) : "v"(x), "v"(w));
  return sum;
}
#else
constexpr bool kHalfDots = false;
inline vec dot(vec sum, uvec x, uvec w) {
  sum = fma((vec)(x << 16), (vec)(w << 16), sum);
  return fma((vec)(x & 0xffff0000), (vec)(w & 0xffff0000), sum);
}
inline vec half_dot(vec sum, uvec x, uvec w) { return dot(sum, x, w); }
#endif

// A block: as many elements as fill a vector. Unpacked it becomes two vectors of words, low and
// high: of two blocks a word has an element each, that of the first in its low half. So with zeros
// in front the words are floats. Wide vectors unpack every 128 bits by themselves: of 8 elements
// the first four are in the low vector. Weights lie in that order (place_in_block), and store_block
// takes it back.
constexpr int kBlockElements = 2 * kVecWidth;
typedef uint16_t block __attribute__((vector_size(4 * kVecWidth)));
typedef uint16_t block_unaligned __attribute__((vector_size(4 * kVecWidth), aligned(2), may_alias));

constexpr int place_in_block(int channel) {
  if (kVecWidth == 4) return channel;
  return channel % 8 / 4 * kVecWidth + channel / 8 * 4 + channel % 4;
}

#ifdef PVNET_UNPACK
inline uvec unpack_low(block a, block b) { return (uvec)PVNET_UNPACK(lo, a, b); }
inline uvec unpack_high(block a, block b) { return (uvec)PVNET_UNPACK(hi, a, b); }
#else
struct TwoHalves {
  hvec low, high;
};
inline uvec joined(hvec a, hvec b) {
  return __builtin_convertvector(a, uvec) | (__builtin_convertvector(b, uvec) << 16);
}
inline uvec unpack_low(block a, block b) {
  return joined(__builtin_bit_cast(TwoHalves, a).low, __builtin_bit_cast(TwoHalves, b).low);
}
inline uvec unpack_high(block a, block b) {
  return joined(__builtin_bit_cast(TwoHalves, a).high, __builtin_bit_cast(TwoHalves, b).high);
}
#endif

// One after the other, the first n elements.
inline void store_vectors(elem* p, const vec (&v)[1], int n) { store_n(p, v[0], n); }
inline void store_vectors(elem* p, const vec (&v)[2], int n) {
#ifdef PVNET_DOT_PAIRS
  const block b = (block)_mm512_cvtne2ps_pbh(v[1], v[0]);
  if (n >= kBlockElements) {
    *reinterpret_cast<block_unaligned*>(p) = b;
  } else {
    _mm512_mask_storeu_epi16(p, (1u << n) - 1u, (__m512i)b);
  }
#else
  store_n(p, v[0], n);
  store_n(p + kVecWidth, v[1], n - kVecWidth);
#endif
}

inline block rounded_block(vec low, vec high) {
#ifdef PVNET_DOT_PAIRS
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  return (block)_mm512_maskz_permutexvar_epi64(static_cast<__mmask8>(-1), order,
                                               (__m512i)_mm512_cvtne2ps_pbh(high, low));
#elif defined(PVNET_PACK)
  return (block)PVNET_PACK(rounded_words(low), rounded_words(high));
#else
  return __builtin_bit_cast(block, TwoHalves{rounded(low), rounded(high)});
#endif
}

// The first n elements of memory, or all; the others are 0.
inline block load_block(const elem* p, int n) {
  if (n >= kBlockElements) return *reinterpret_cast<const block_unaligned*>(p);
#ifdef PVNET_MASKED_ELEMENTS
  return (block)_mm512_maskz_loadu_epi16((1u << n) - 1u, p);
#else
  block b = {};
  for (int i = 0; i < n; ++i) b[i] = p[i].bits;
  return b;
#endif
}
inline void store_elements(elem* p, block b, int n) {
  if (n >= kBlockElements) {
    *reinterpret_cast<block_unaligned*>(p) = b;
    return;
  }
#ifdef PVNET_MASKED_ELEMENTS
  _mm512_mask_storeu_epi16(p, (1u << n) - 1u, (__m512i)b);
#else
  for (int i = 0; i < n; ++i) p[i].bits = b[i];
#endif
}
inline void store_block(elem* p, vec low, vec high, int n) {
  store_elements(p, rounded_block(low, high), n);
}

// What maxima are made of: some channels, whose order is that of their values. Here they are
// integers: bits with a sign, turned round below zero, and moved so that every NaN is above
// infinity.
typedef int16_t places __attribute__((vector_size(4 * kVecWidth)));
inline places greatest(places a, places b) { return a > b ? a : b; }
inline places greatest(places a, places b, places c) { return greatest(a, greatest(b, c)); }
struct Ordered {
  using type = places;
  static constexpr int kChannels = kBlockElements;
  static constexpr uint16_t kNans = 0x7f;        // of either sign
  static bool shared(int, int) { return true; }  // half the comparisons of floats at any rate
  static type turned(block b) { return (places)(b ^ (block)((places)b >> 15 & 0x7fff)); }
  static type least() { return places{} + static_cast<int16_t>(-0x8000); }  // minus infinity
  static type zero() { return places{} - static_cast<int16_t>(kNans); }
  static type load(const elem* p, int n) {
    return (places)((block)turned(load_block(p, n)) - kNans);
  }
  static void store(elem* p, type x, int n) {
    store_elements(p, (block)turned((block)x + kNans), n);
  }
};

// The sum of the first whole vectors of n elements of two maps; how many elements these are.
inline int add_whole(source x, source y, target out, float low, float high, int n) {
  const vec least = splat(low), most = splat(high);
  int c = 0;
#pragma GCC unroll 4
  for (; c + kVecWidth <= n; c += kVecWidth) {
    store(out + c, vclamp(load(x + c) + load(y + c), least, most));
  }
  return c;
}

// Vectors side by side of a kind of map that the compiler knows; n: how many elements count.
constexpr int kElementKinds = 1;
inline int kind_of(Dtype) { return 0; }
inline int64_t bytes_of(Dtype) { return sizeof(elem); }
template <int KIND>
struct Elements {
  static constexpr int64_t kBytes = sizeof(elem);
  explicit Elements(const MapGeometry&) {}
  template <int VECS>
  static void load(const char* p, int n, vec (&v)[VECS]) {
#pragma GCC unroll 4
    for (int i = 0; i < VECS; ++i) {
      v[i] = load_n(reinterpret_cast<const elem*>(p) + i * kVecWidth, n - i * kVecWidth);
    }
  }
  template <int VECS>
  static void store(char* p, const vec (&v)[VECS], int n) {
    elem* const to = reinterpret_cast<elem*>(p);
    if constexpr (VECS % 2 == 0) {
      if (n >= VECS * kVecWidth) {
#pragma GCC unroll 2
        for (int i = 0; i < VECS; i += 2) {
          const vec two[2] = {v[i], v[i + 1]};
          store_vectors(to + i * kVecWidth, two, 2 * kVecWidth);
        }
        return;
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < VECS; ++i) store_n(to + i * kVecWidth, v[i], n - i * kVecWidth);
  }
};
