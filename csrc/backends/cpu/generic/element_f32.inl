// SPDX-License-Identifier: Apache-2.0
// Elements of maps are floats. element_bf16.inl and element_int8.inl have the same names; kernels
// that only read and store elements are written over them.

using elem = float;

inline const elem* elems(const float* p) { return p; }
inline elem* elems(float* p) { return p; }
// Elements of a map to be read, and to be stored.
using source = const elem*;
using target = elem*;
inline source elems(const MapGeometry&, const float* p) { return p; }
inline target elems(const MapGeometry&, float* p) { return p; }
inline float value_at(source in, int64_t i) { return in[i]; }
inline void set_value(target out, int64_t i, float x) { out[i] = x; }
inline float to_float(elem x) { return x; }
inline elem to_elem(float x) { return x; }
inline vec as_stored(vec x) { return x; }

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

// What maxima are made of: some channels, whose order is that of their values.
struct Ordered {
  using type = vec;
  static constexpr int kChannels = kVecWidth;
  static type least() { return splat(-__builtin_inff()); }
  static type zero() { return splat(0.0f); }
  // Whether windows share enough columns to compare these first.
  static bool shared(int width, int stride) {
    return kVecWidth < 16 ? 2 * stride < width : stride < width;
  }
  static type load(const elem* p, int n) { return load_n(p, n); }
  static void store(elem* p, type x, int n) { store_n(p, x, n); }
};

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
#pragma GCC unroll 4
    for (int i = 0; i < VECS; ++i) {
      store_n(reinterpret_cast<elem*>(p) + i * kVecWidth, v[i], n - i * kVecWidth);
    }
  }
};
