// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pvnet {

// Gives what the allocator holds without use back to the system, where there is a way (glibc). For
// the end of work that took much memory for a short time.
void trim_heap();

}  // namespace pvnet
