// SPDX-License-Identifier: Apache-2.0
#include "host/heap.hpp"

#include <algorithm>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace pvnet {

void trim_heap() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

void* allocate(size_t alignment, size_t bytes) {
#ifdef MADV_HUGEPAGE
  constexpr size_t kPage = size_t{2} << 20;  // of x86-64, and of Arm with pages of 4 KiB
  const size_t whole = bytes / kPage * kPage;
  if (whole == 0) return std::aligned_alloc(alignment, bytes);
  void* data = nullptr;
  if (::posix_memalign(&data, std::max(alignment, kPage), bytes) != 0) return nullptr;
  // Not behind the last whole one: nobody pays for memory that was not asked for.
  ::madvise(data, whole, MADV_HUGEPAGE);  // a wish: it may be refused
  return data;
#else
  return std::aligned_alloc(alignment, bytes);
#endif
}

}  // namespace pvnet
