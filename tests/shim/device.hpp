// SPDX-License-Identifier: Apache-2.0
// kernels/pv.cuh for a host compiler: the same names, on the threads of block.hpp.
#pragma once

#include <chrono>
#include <cmath>
#include <string>

#include "block.hpp"
#include "error.hpp"
#include "memory.hpp"
#include "number.hpp"
#include "tensor.hpp"

// In a program with the device's kernels, too, neither is to be taken for the other.
#define PV_GLOBAL static
#define PV_DEVICE inline
#define PV_CALLED inline
#define PV_BOUNDS(threads, blocks)
#define PV_SMEM(name) char* const name = ::shim::block->shared()
#define PV_SHARED(type, name, count) \
  static const char name##_site = 0; \
  type* const name =                 \
      static_cast<type*>(::shim::block->static_shared(&name##_site, sizeof(type) * (count)))

namespace pv {

enum Collective { kLoadMatrices = 1, kMultiply, kShuffle };

template <class T>
void check_place(const T* p, size_t bytes, const char* what) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) shim::fail("misaligned " + std::string(what));
  shim::check_global(p, bytes, what);
}

inline void sync() { shim::block->wait(shim::State::block); }
inline void fence() { shim::thread->stores.land(); }

inline void wait_previous_launch() {
  shim::thread->waited = true;
  if (!shim::block->released()) shim::block->wait(shim::State::launch);
}
inline void allow_next_launch() {}

inline void copy_async(void* to, const void* from, int bytes, int valid) {
  if (reinterpret_cast<uintptr_t>(to) % bytes != 0 || valid < 0 || valid > bytes ||
      (valid > 0 && reinterpret_cast<uintptr_t>(from) % bytes != 0)) {
    shim::fail("a misaligned copy");
  }
  if (!shim::block->holds_shared(to, bytes)) shim::fail("a copy outside of shared memory");
  if (valid > 0) shim::check_global(from, valid, "a copy");
  std::memset(to, 0xff, bytes);  // nobody may read it before it has landed
  if (!shim::thread->waited) ++shim::block->work().early_copies;
  shim::thread->copies.add(static_cast<char*>(to), static_cast<const char*>(from), bytes, valid);
}
inline void copy16(void* to, const void* from, int valid) { copy_async(to, from, 16, valid); }
inline void copy8(void* to, const void* from, int valid) { copy_async(to, from, 8, valid); }
inline void commit_copies() { shim::thread->copies.commit(); }
template <int Groups>
void wait_copies() {
  shim::thread->copies.wait(Groups);
}

inline void load_matrices(uint32_t (&r)[4], const void* row) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) shim::fail("a misaligned ldmatrix");
  if (!shim::block->holds_shared(row, 16)) shim::fail("an ldmatrix outside of shared memory");
  shim::LoadMatrices mine = {row, {}};
  shim::block->collective(kLoadMatrices, mine, shim::load_matrices);
  std::memcpy(r, mine.out, sizeof(r));
}

template <pv_dtype D>
void multiply(float (&d)[2][4][4], const uint32_t (&a)[2][4], const uint32_t (&b)[2][4]) {
  shim::Multiply mine = {d, a, b};
  shim::block->collective(kMultiply, mine,
                          [](shim::Multiply** lanes) { shim::multiply(D, lanes); });
}

inline float shuffle_xor(float x, int mask) {
  struct Exchange {
    float in, out;
    int from;
  };
  Exchange mine = {x, 0, (static_cast<int>(threadIdx.x) % shim::kWarpLanes) ^ mask};
  shim::block->collective(kShuffle, mine, [](Exchange** lanes) {
    for (int l = 0; l < shim::kWarpLanes; ++l) lanes[l]->out = lanes[lanes[l]->from]->in;
  });
  return mine.out;
}

inline int atomic_add(int* p, int x) {
  check_place(p, sizeof(int), "atomic");
  const int before = *p;
  *p += x;
  return before;
}
inline int atomic_max(int* p, int x) {
  check_place(p, sizeof(int), "atomic");
  const int before = *p;
  *p = x > before ? x : before;
  return before;
}
inline void store_shared_sum(float* p, float x) {
  check_place(p, sizeof(float), "store");
  shim::thread->stores.add(p, x);
}
inline float load_shared_sum(const float* p) {
  check_place(p, sizeof(float), "load");
  shim::thread->stores.land();  // a thread sees its own stores
  return *p;
}

inline void load8_shared(float (&x)[8], const float* p) {
  if (reinterpret_cast<uintptr_t>(p) % 16 != 0) shim::fail("a misaligned load from shared memory");
  if (!shim::block->holds_shared(p, sizeof(x))) shim::fail("a load outside of shared memory");
  std::memcpy(x, p, sizeof(x));
}
inline void store2_shared(float* p, float a, float b) {
  if (reinterpret_cast<uintptr_t>(p) % 8 != 0) shim::fail("a misaligned store to shared memory");
  if (!shim::block->holds_shared(p, 8)) shim::fail("a store outside of shared memory");
  p[0] = a, p[1] = b;
}

inline int64_t global_time() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}
inline int sm_id() { return shim::block->sm(); }

inline float fma_f32(float a, float b, float c) { return std::fma(a, b, c); }
inline float mul_f32(float a, float b) { return a * b; }
inline float sqrt_f32(float x) { return std::sqrt(x); }

inline float load(const float* p) {
  check_place(p, sizeof(*p), "load");
  return *p;
}
template <class T>
float load(const T* p) {
  check_place(p, sizeof(*p), "load");
  return to_float(*p);
}
inline void store(float* p, float x) {
  check_place(p, sizeof(*p), "store");
  *p = x;
}
inline void store(bf16* p, float x) {
  check_place(p, sizeof(*p), "store");
  *p = to_bf16(x);
}
inline void store(f16* p, float x) {
  check_place(p, sizeof(*p), "store");
  *p = to_f16(x);
}
template <class T>
void load8(float (&x)[8], const T* p) {
  check_place(p, 16, "load of 8");
  for (int i = 0; i < 8; ++i) x[i] = load(p + i);
}
template <class T>
void store8(T* p, const float (&x)[8]) {
  check_place(p, 16, "store of 8");
  for (int i = 0; i < 8; ++i) store(p + i, x[i]);
}

}  // namespace pv
