// SPDX-License-Identifier: Apache-2.0
// Ranges of the options of compile().
#pragma once

namespace pvnet {

constexpr int kMaxLanes = 256;
constexpr int kMaxBatch = 4096;

}  // namespace pvnet
