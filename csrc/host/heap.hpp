// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace pvnet {

// Gives what the allocator holds without use back to the system, where there is a way (glibc). For
// the end of work that took much memory for a short time.
void trim_heap();

// Memory for std::free; nullptr where there is none. alignment: a power of 2, a factor of bytes.
// Where the system has large pages for those who ask (Linux), whole ones inside are asked for: a
// tick goes over megabytes, and looks up fewer of them.
void* allocate(size_t alignment, size_t bytes);

}  // namespace pvnet
