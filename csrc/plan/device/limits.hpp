// SPDX-License-Identifier: Apache-2.0
// Bounds of what is made for a device: graphs are untrusted, and kernels count with 32 bits.
#pragma once

#include <cstdint>

namespace pvnet::device {

constexpr int64_t kMaxTiles = 4'000'000;                // of a tick, all rows
constexpr int64_t kMaxSlots = 64'000'000;               // firings looked up in a tick, all rows
constexpr int64_t kMaxEntries = 16'000'000;             // of any table
constexpr int64_t kMaxPartialBytes = int64_t{1} << 34;  // sums of splits, all rows
constexpr int kMaxGroupOps = 8;                         // of a convolution, an operation each

}  // namespace pvnet::device
