// SPDX-License-Identifier: Apache-2.0
// A 64-bit hash of bytes, eight at a time: for fingerprints and checksums, not against forgery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pvnet {

constexpr uint64_t kHashSeed = 14695981039346656037ULL;

inline uint64_t hash_bytes(uint64_t h, const void* bytes, size_t n) {
  const char* p = static_cast<const char*>(bytes);
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = (h ^ word) * 1099511628211ULL;
    h ^= h >> 29;
  }
  for (; n > 0; ++p, --n) h = (h ^ static_cast<uint8_t>(*p)) * 1099511628211ULL;
  return h;
}

inline uint64_t hash_text(uint64_t h, std::string_view s) {
  return hash_bytes(h, s.data(), s.size());
}

}  // namespace pvnet
