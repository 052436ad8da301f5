// SPDX-License-Identifier: Apache-2.0
// Everything of the machine that a kernel uses. nvcc and NVRTC: instructions. With PV_SHIM: the
// same names for a host compiler (tests/shim/device.hpp).
#pragma once

#include "program.h"

#ifdef PV_SHIM
#include "shim/device.hpp"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define PV_GLOBAL __global__
#define PV_DEVICE __device__ __forceinline__
#define PV_CALLED static __device__ __noinline__
#define PV_BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)
// The launch's shared memory, and arrays of a kernel's own.
#define PV_SMEM(name) extern __shared__ __align__(128) char name[]
#define PV_SHARED(type, name, count) __shared__ type name[count]

namespace pv {

typedef __nv_bfloat16 bf16;
typedef __half f16;

PV_DEVICE void sync() { __syncthreads(); }
PV_DEVICE void fence() { __threadfence(); }

// A launch that depends on the one before by griddepcontrol may have begun early. No such thing
// before sm_90.
PV_DEVICE void wait_previous_launch() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
PV_DEVICE void allow_next_launch() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// 16 or 8 bytes to shared memory, of which the first `valid` come from `from` and the others are
// zero. valid == 0: `from` is not read. They have landed when the thread has waited for their
// group.
PV_DEVICE uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
PV_DEVICE void copy16(void* to, const void* from, int valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(valid)
               : "memory");
}
PV_DEVICE void copy8(void* to, const void* from, int valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(valid)
               : "memory");
}
PV_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// All but the newest groups.
template <int Groups>
PV_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Groups) : "memory");
}

// Four matrices of 8 rows of 16 bytes; lane i has the address of row i % 8 of matrix i / 8.
PV_DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

#define PV_MMA(shape, types)                                                          \
  asm volatile("mma.sync.aligned." shape ".row.col.f32." types                        \
               ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                       \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

// 16 x 8 sums, 32 bytes of k.
template <pv_dtype D>
PV_DEVICE void multiply_one(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (D == PV_BF16) {
    PV_MMA("m16n8k16", "bf16.bf16");
  } else if constexpr (D == PV_F16) {
    PV_MMA("m16n8k16", "f16.f16");
  } else {
    PV_MMA("m16n8k8", "tf32.tf32");
  }
}
#undef PV_MMA

PV_DEVICE uint32_t round_tf32(uint32_t x) {
  uint32_t r;
  // Volatile, or the compiler makes all of them ahead and runs out of registers.
  asm volatile("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(__uint_as_float(x)));
  return r;
}
PV_DEVICE bool is_huge(uint32_t x) { return (x & 0x7f800000u) == 0x7f800000u; }  // or NaN
// What is left of x beside its tf32.
PV_DEVICE uint32_t rest_tf32(uint32_t x, uint32_t tf32) {
  const float rest = __uint_as_float(x) - __uint_as_float(tf32);
  return is_huge(tf32) ? 0u : round_tf32(__float_as_uint(rest));
}

// 16 x 32 sums: d[j] += a * b[j]; b[j] are two registers of b[j / 2].
template <pv_dtype D>
PV_DEVICE void multiply_row(float (&d)[4][4], const uint32_t (&a)[4], const uint32_t (&b)[2][4]) {
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const uint32_t column[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
    multiply_one<D>(d[j], a, column);
  }
}

// As multiply_one, of f32: three products, rest * whole, whole * rest, whole * whole, the small
// ones first. They are added up by themselves and then to d, once and rounded: added one by one,
// each would be rounded at the size of d, and tensor cores cut off where they add. The rest of an
// infinity is 0, and an infinity times the rest of something is nothing.
PV_DEVICE void multiply_f32(float (&d)[4], const uint32_t (&whole)[4], const uint32_t (&rest)[4],
                            const uint32_t (&column)[2], const uint32_t (&column_rest)[2]) {
  float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  multiply_one<PV_F32>(sum, rest, column);
  uint32_t finite[4];
#pragma unroll
  for (int r = 0; r < 4; ++r) finite[r] = is_huge(whole[r]) ? 0u : whole[r];
  multiply_one<PV_F32>(sum, finite, column_rest);
  multiply_one<PV_F32>(sum, whole, column);
#pragma unroll
  for (int e = 0; e < 4; ++e) d[e] += sum[e];
}

PV_DEVICE void multiply_all_f32(float (&d)[2][4][4], const uint32_t (&a)[2][4],
                                const uint32_t (&b)[2][4]) {
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    uint32_t column[2][2], column_rest[2][2];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      column[r / 2][r % 2] = round_tf32(b[k][r]);
      column_rest[r / 2][r % 2] = rest_tf32(b[k][r], column[r / 2][r % 2]);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint32_t whole[4], rest[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        whole[r] = round_tf32(a[i][r]);
        rest[r] = rest_tf32(a[i][r], whole[r]);
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        multiply_f32(d[i][k * 2 + j], whole, rest, column[j], column_rest[j]);
      }
    }
  }
}

// 32 x 32 sums. PV_TF32: b is rounded already.
template <pv_dtype D>
PV_DEVICE void multiply(float (&d)[2][4][4], const uint32_t (&a)[2][4], const uint32_t (&b)[2][4]) {
  if constexpr (D == PV_F32) {
    multiply_all_f32(d, a, b);
  } else {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint32_t factors[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) factors[r] = D == PV_TF32 ? round_tf32(a[i][r]) : a[i][r];
      multiply_row<D>(d[i], factors, b);
    }
  }
}

PV_DEVICE float shuffle_xor(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }

PV_DEVICE int atomic_add(int* p, int x) { return atomicAdd(p, x); }
PV_DEVICE int atomic_max(int* p, int x) { return atomicMax(p, x); }
// Sums that blocks hand to each other: between store and load a fence, an atomic, a fence.
PV_DEVICE void store_shared_sum(float* p, float x) { __stcg(p, x); }
PV_DEVICE float load_shared_sum(const float* p) { return __ldcg(p); }

// Sums in shared memory; 8 are 16-byte aligned, 2 are 8-byte aligned.
PV_DEVICE void load8_shared(float (&x)[8], const float* p) {
#pragma unroll
  for (int i = 0; i < 8; i += 4) {
    const float4 four = *reinterpret_cast<const float4*>(p + i);
    x[i] = four.x, x[i + 1] = four.y, x[i + 2] = four.z, x[i + 3] = four.w;
  }
}
PV_DEVICE void store2_shared(float* p, float a, float b) {
  *reinterpret_cast<float2*>(p) = make_float2(a, b);
}

// Nanoseconds of the device's clock.
PV_DEVICE int64_t global_time() {
  int64_t t;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
  return t;
}
PV_DEVICE int sm_id() {
  int id;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
  return id;
}

// One rounding, or two: never as the compiler likes.
PV_DEVICE float fma_f32(float a, float b, float c) { return __fmaf_rn(a, b, c); }
PV_DEVICE float mul_f32(float a, float b) { return __fmul_rn(a, b); }
PV_DEVICE float sqrt_f32(float x) { return __fsqrt_rn(x); }
PV_DEVICE uint32_t bits_of(float x) { return __float_as_uint(x); }
PV_DEVICE float float_of(uint32_t x) { return __uint_as_float(x); }

// Elements in memory; numbers in registers are f32.
PV_DEVICE float load(const float* p) { return *p; }
PV_DEVICE float load(const bf16* p) { return __bfloat162float(*p); }
PV_DEVICE float load(const f16* p) { return __half2float(*p); }
PV_DEVICE void store(float* p, float x) { *p = x; }
PV_DEVICE void store(bf16* p, float x) { *p = __float2bfloat16_rn(x); }
PV_DEVICE void store(f16* p, float x) { *p = __float2half_rn(x); }

PV_DEVICE float2 unpack(uint32_t word, bf16) {
  return make_float2(__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u));
}
PV_DEVICE float2 unpack(uint32_t word, f16) {
  float2 two;
  asm("{.reg .b16 lo, hi;\n mov.b32 {lo, hi}, %2;\n cvt.f32.f16 %0, lo;\n cvt.f32.f16 %1, hi;}"
      : "=f"(two.x), "=f"(two.y)
      : "r"(word));
  return two;
}
PV_DEVICE uint32_t pack(float lo, float hi, bf16) {
  return static_cast<uint32_t>(__bfloat16_as_ushort(__float2bfloat16_rn(lo))) |
         static_cast<uint32_t>(__bfloat16_as_ushort(__float2bfloat16_rn(hi))) << 16;
}
PV_DEVICE uint32_t pack(float lo, float hi, f16) {
  return static_cast<uint32_t>(__half_as_ushort(__float2half_rn(lo))) |
         static_cast<uint32_t>(__half_as_ushort(__float2half_rn(hi))) << 16;
}

// 8 elements, 16-byte aligned.
PV_DEVICE void load8(float (&x)[8], const float* p) {
  const float4 a = reinterpret_cast<const float4*>(p)[0], b = reinterpret_cast<const float4*>(p)[1];
  x[0] = a.x, x[1] = a.y, x[2] = a.z, x[3] = a.w;
  x[4] = b.x, x[5] = b.y, x[6] = b.z, x[7] = b.w;
}
template <class T>
PV_DEVICE void load8(float (&x)[8], const T* p) {
  const uint4 words = *reinterpret_cast<const uint4*>(p);
  const float2 a = unpack(words.x, T()), b = unpack(words.y, T());
  const float2 c = unpack(words.z, T()), d = unpack(words.w, T());
  x[0] = a.x, x[1] = a.y, x[2] = b.x, x[3] = b.y;
  x[4] = c.x, x[5] = c.y, x[6] = d.x, x[7] = d.y;
}
PV_DEVICE void store8(float* p, const float (&x)[8]) {
  reinterpret_cast<float4*>(p)[0] = make_float4(x[0], x[1], x[2], x[3]);
  reinterpret_cast<float4*>(p)[1] = make_float4(x[4], x[5], x[6], x[7]);
}
template <class T>
PV_DEVICE void store8(T* p, const float (&x)[8]) {
  *reinterpret_cast<uint4*>(p) = make_uint4(pack(x[0], x[1], T()), pack(x[2], x[3], T()),
                                            pack(x[4], x[5], T()), pack(x[6], x[7], T()));
}

}  // namespace pv
#endif

namespace pv {

PV_DEVICE bool aligned16(const void* p) { return (reinterpret_cast<uintptr_t>(p) & 15) == 0; }

template <pv_dtype D>
struct Storage {
  typedef float type;
};
template <>
struct Storage<PV_F16> {
  typedef f16 type;
};
template <>
struct Storage<PV_BF16> {
  typedef bf16 type;
};
// What the elements of a map are.
template <pv_dtype D>
using storage = typename Storage<D>::type;

}  // namespace pv
