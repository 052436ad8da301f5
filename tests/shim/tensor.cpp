// SPDX-License-Identifier: Apache-2.0
#include "tensor.hpp"

#include <cstring>

#include "number.hpp"

namespace shim {
namespace {

constexpr int kLanes = 32, kSide = 32;

// A warp's factor as floats: a by rows, b by columns, k last. `each` 32-bit registers of k hold
// 1 or 2 elements.
struct Factors {
  float a[kSide][16];
  float b[16][kSide];  // k first: the inner loop runs over columns
};

struct Halves {
  float at[2];
};
Halves elements(pv_dtype dtype, uint32_t word) {
  const uint16_t lo = static_cast<uint16_t>(word), hi = static_cast<uint16_t>(word >> 16);
  if (dtype == PV_BF16) return {{pv::to_float(pv::bf16{lo}), pv::to_float(pv::bf16{hi})}};
  if (dtype == PV_F16) return {{pv::to_float(pv::f16{lo}), pv::to_float(pv::f16{hi})}};
  return {{pv::float_of(word & 0xffffe000u), 0}};  // the unit ignores the low bits of a tf32
}

// f(register, row or column, k word): where the fragments of PTX put lane's registers.
template <class F>
void for_fragment_a(int lane, F&& f) {
  for (int i = 0; i < 2; ++i) {
    for (int r = 0; r < 4; ++r) f(i, r, i * 16 + lane / 4 + r % 2 * 8, lane % 4 + r / 2 * 4);
  }
}
template <class F>
void for_fragment_b(int lane, F&& f) {
  for (int j = 0; j < 2; ++j) {
    for (int r = 0; r < 4; ++r) f(j, r, j * 16 + r / 2 * 8 + lane / 4, lane % 4 + r % 2 * 4);
  }
}

// A word as a tf32, what is left beside it, and the tf32 without infinities (kernels/pv.cuh).
bool is_huge(uint32_t x) { return (x & 0x7f800000u) == 0x7f800000u; }
uint32_t whole(uint32_t x) { return pv::round_tf32(x); }
uint32_t rest(uint32_t x) {
  const uint32_t tf32 = whole(x);
  if (is_huge(tf32)) return 0;
  return pv::round_tf32(pv::bits_of(pv::float_of(x) - pv::float_of(tf32)));
}
uint32_t finite(uint32_t x) { return is_huge(whole(x)) ? 0 : whole(x); }
uint32_t same(uint32_t x) { return x; }

using Word = uint32_t (*)(uint32_t);
void gather(pv_dtype dtype, Multiply** lanes, Word of_a, Word of_b, Factors& f) {
  const int each = dtype == PV_BF16 || dtype == PV_F16 ? 2 : 1;
  for (int l = 0; l < kLanes; ++l) {
    for_fragment_a(l, [&](int i, int r, int row, int word) {
      const Halves e = elements(dtype, of_a(lanes[l]->a[i][r]));
      for (int k = 0; k < each; ++k) f.a[row][word * each + k] = e.at[k];
    });
    for_fragment_b(l, [&](int j, int r, int column, int word) {
      const Halves e = elements(dtype, of_b(lanes[l]->b[j][r]));
      for (int k = 0; k < each; ++k) f.b[word * each + k][column] = e.at[k];
    });
  }
}

using Sums = float[kSide][kSide];

template <int K>
void add_products(const Factors& f, Sums& d) {
  for (int row = 0; row < kSide; ++row) {
    float sum[kSide];
    std::memcpy(sum, d[row], sizeof(sum));
    for (int k = 0; k < K; ++k) {
      const float a = f.a[row][k];
      for (int column = 0; column < kSide; ++column) sum[column] += a * f.b[k][column];
    }
    std::memcpy(d[row], sum, sizeof(sum));
  }
}

template <class F>
void for_sums(Multiply** lanes, F&& f) {
  for (int l = 0; l < kLanes; ++l) {
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) {
        for (int e = 0; e < 4; ++e) {
          f(lanes[l]->d[i][j][e], i * 16 + l / 4 + e / 2 * 8, j * 8 + l % 4 * 2 + e % 2);
        }
      }
    }
  }
}

}  // namespace

void load_matrices(LoadMatrices** lanes) {
  for (int m = 0; m < 4; ++m) {
    for (int l = 0; l < kLanes; ++l) {
      const char* const row = static_cast<const char*>(lanes[m * 8 + l / 4]->row);
      std::memcpy(&lanes[l]->out[m], row + l % 4 * 4, 4);
    }
  }
}

void multiply(pv_dtype dtype, Multiply** lanes) {
  Sums d;
  Factors f;
  for_sums(lanes, [&](float x, int row, int column) { d[row][column] = x; });
  if (dtype == PV_BF16 || dtype == PV_F16) {
    gather(dtype, lanes, same, same, f), add_products<16>(f, d);
  } else if (dtype == PV_TF32) {
    gather(dtype, lanes, whole, same, f), add_products<8>(f, d);  // weights are packed rounded
  } else {
    gather(dtype, lanes, rest, whole, f), add_products<8>(f, d);
    gather(dtype, lanes, finite, rest, f), add_products<8>(f, d);
    gather(dtype, lanes, whole, whole, f), add_products<8>(f, d);
  }
  for_sums(lanes, [&](float& x, int row, int column) { x = d[row][column]; });
}

}  // namespace shim
