// SPDX-License-Identifier: Apache-2.0
#include "tensor.hpp"

#include <cstring>

#include "number.hpp"

namespace shim {
namespace {

constexpr int kLanes = 32, kSide = 32;

// A warp's factors as 32-bit words, and as floats: k last in a, first in b, so that the inner loop
// runs over columns.
struct Words {
  uint32_t a[kSide][8];
  uint32_t b[8][kSide];
};
struct Factors {
  float a[kSide][16];
  float b[16][kSide];
};

// From the registers where PTX has fragments.
Words gather(Multiply** lanes) {
  Words words;
  for (int l = 0; l < kLanes; ++l) {
    const int group = l / 4, in_group = l % 4;
    for (int i = 0; i < 2; ++i) {
      for (int r = 0; r < 4; ++r) {
        words.a[i * 16 + r % 2 * 8 + group][r / 2 * 4 + in_group] = lanes[l]->a[i][r];
        words.b[r % 2 * 4 + in_group][i * 16 + r / 2 * 8 + group] = lanes[l]->b[i][r];
      }
    }
  }
  return words;
}

template <class T>
float low(uint32_t word) {
  return pv::to_float(T{static_cast<uint16_t>(word)});
}
template <class T>
float high(uint32_t word) {
  return pv::to_float(T{static_cast<uint16_t>(word >> 16)});
}
template <class T>
void unpack(const Words& words, Factors& f) {
  for (int i = 0; i < kSide; ++i) {
    for (int k = 0; k < 8; ++k) {
      f.a[i][2 * k] = low<T>(words.a[i][k]), f.a[i][2 * k + 1] = high<T>(words.a[i][k]);
    }
  }
  for (int k = 0; k < 8; ++k) {
    for (int i = 0; i < kSide; ++i) f.b[2 * k][i] = low<T>(words.b[k][i]);
    for (int i = 0; i < kSide; ++i) f.b[2 * k + 1][i] = high<T>(words.b[k][i]);
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
template <Word OfA, Word OfB>
void convert(const Words& words, Factors& f) {
  const auto tf32 = [](uint32_t x) { return pv::float_of(x & 0xffffe000u); };  // no more is read
  for (int k = 0; k < 8; ++k) {
    for (int i = 0; i < kSide; ++i) f.a[i][k] = tf32(OfA(words.a[i][k]));
    for (int i = 0; i < kSide; ++i) f.b[k][i] = tf32(OfB(words.b[k][i]));
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

// f(a lane's two sums, where they are among all).
template <class F>
void for_pairs(Multiply** lanes, Sums& d, F&& f) {
  for (int l = 0; l < kLanes; ++l) {
    float* const first = &d[l / 4][l % 4 * 2];
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) {
        float* const sums = lanes[l]->d[i][j];
        f(sums, first + i * 16 * kSide + j * 8);
        f(sums + 2, first + (i * 16 + 8) * kSide + j * 8);
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
  const Words words = gather(lanes);
  for_pairs(lanes, d, [](float* mine, float* all) { std::memcpy(all, mine, 8); });
  switch (dtype) {
    case PV_BF16:
      unpack<pv::bf16>(words, f), add_products<16>(f, d);
      break;
    case PV_F16:
      unpack<pv::f16>(words, f), add_products<16>(f, d);
      break;
    case PV_TF32:
      convert<whole, same>(words, f), add_products<8>(f, d);  // weights are packed rounded
      break;
    case PV_F32: {
      Sums sum = {};  // of this call, added up by itself (kernels/pv.cuh)
      convert<rest, whole>(words, f), add_products<8>(f, sum);
      convert<finite, rest>(words, f), add_products<8>(f, sum);
      convert<whole, whole>(words, f), add_products<8>(f, sum);
      for (int i = 0; i < kSide * kSide; ++i) d[i / kSide][i % kSide] += sum[i / kSide][i % kSide];
      break;
    }
  }
  for_pairs(lanes, d, [](float* mine, float* all) { std::memcpy(mine, all, 8); });
}

}  // namespace shim
