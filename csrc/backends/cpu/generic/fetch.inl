// SPDX-License-Identifier: Apache-2.0
// What a register tile will read and write beside its weights, asked for while it multiplies: maps
// of earlier ticks lie in memory, not in a cache.

// N pixels of BYTES bytes from `first` on (nullptr: none), so many bytes from one to the next.
template <int N, int BYTES>
__attribute__((always_inline)) inline void fetch_pixels(const void* first, int64_t step) {
  const char* at = static_cast<const char*>(first);
  if (at == nullptr) return;
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p, at += step) {
#pragma GCC unroll 2
    for (int b = 0; b < BYTES; b += 64) __builtin_prefetch(at + b);
  }
}

// BYTES bytes that lie together.
template <int BYTES>
__attribute__((always_inline)) inline void fetch_bytes(const char* at) {
#pragma GCC unroll 4
  for (int b = 0; b < BYTES; b += 64) __builtin_prefetch(at + b);
}
