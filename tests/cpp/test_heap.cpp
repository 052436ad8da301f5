// SPDX-License-Identifier: Apache-2.0
// Memory of streams and packed weights, and which pages it asks for.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "check.hpp"
#include "host/heap.hpp"

using namespace pvnet;

namespace {

constexpr size_t kLargePage = size_t{2} << 20;

// Whether large pages were asked for at an address, from Linux' own list.
bool asks_for_large_pages(const std::byte* at) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(maps, line)) {
    uintptr_t lo = 0, hi = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &lo, &hi) == 2) {
      inside = lo <= reinterpret_cast<uintptr_t>(at) && reinterpret_cast<uintptr_t>(at) < hi;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line.find(" hg") != std::string::npos;
    }
  }
  return false;
}

// Whether that list tells of it: an emulator makes one up, and ignores what is asked for.
bool list_tells() {
#ifdef MADV_HUGEPAGE
  void* const data =
      ::mmap(nullptr, 2 * kLargePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return false;
  const bool asked = ::madvise(data, 2 * kLargePage, MADV_HUGEPAGE) == 0;
  const bool told = asked && asks_for_large_pages(static_cast<const std::byte*>(data));
  ::munmap(data, 2 * kLargePage);
  return told;
#else
  return false;
#endif
}

}  // namespace

TEST(large_memory_asks_for_large_pages) {
  const bool tells = list_tells();
  for (const size_t bytes : {size_t{64}, kLargePage - 64, kLargePage, 5 * kLargePage / 2}) {
    auto* const data = static_cast<std::byte*>(allocate(64, bytes));
    CHECK(data != nullptr && reinterpret_cast<uintptr_t>(data) % 64 == 0);
    if (data == nullptr) continue;
    data[0] = data[bytes - 1] = std::byte{1};
    if (bytes >= kLargePage && tells) {
      CHECK(reinterpret_cast<uintptr_t>(data) % kLargePage == 0);
      CHECK(asks_for_large_pages(data));
      // What follows the last whole page takes small ones.
      CHECK(bytes % kLargePage == 0 || !asks_for_large_pages(data + bytes - 1));
    }
    std::free(data);
  }
  CHECK(allocate(64, SIZE_MAX / 2 / 64 * 64) == nullptr);
}
