// SPDX-License-Identifier: Apache-2.0
// The limits of graphs and plans (docs/model_format.md lists them). They keep every product of
// attributes inside 64 bits, every index of a map inside 32, and every table small; all are far
// beyond what runs on one machine in real time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pvnet {

// Of graphs.
constexpr int64_t kMaxNodes = 100'000;
constexpr int64_t kMaxInputs = 4096;  // of one node
constexpr int kMaxEltInputs = 16;     // of add and mul
constexpr int kMaxChannels = 1'000'000;
constexpr int kMaxSide = 65'536;                          // height or width
constexpr int64_t kMaxElements = (int64_t{1} << 31) - 1;  // of one frame, padding included
constexpr int kMaxKernel = 1024, kMaxDilation = 1024, kMaxStride = 4096;
constexpr int kMaxBlock = 256;                     // of depth_to_space and space_to_depth
constexpr int kMaxWindow = 65'536;                 // of global_pool, firings
constexpr int kMaxTicks = 1'000'000;               // of one delay or feedback
constexpr int64_t kMaxHyperPeriod = 4096;          // ticks
constexpr int64_t kMaxWeights = int64_t{1} << 40;  // elements of one node
constexpr int64_t kMaxMacs = int64_t{1} << 45;     // of one firing; their sums fit, too

// Of plans.
constexpr int64_t kMaxBytes = int64_t{1} << 40;     // of anything: a ring, a row, weights, a stream
constexpr int64_t kMaxDepth = int64_t{1} << 30;     // slots of a ring
constexpr int64_t kMaxSegments = 16'384;            // of one input of an operation
constexpr int64_t kMaxAllSegments = 1'000'000;      // of all operations and outputs
constexpr size_t kMaxHops = 8;                      // on the way to a value
constexpr int64_t kMaxReads = 4'000'000;            // segments * taps of one input
constexpr int64_t kMaxAgeEntries = 16'000'000;      // outputs * ticks * (stages + kAgeRowEntries)
constexpr int64_t kAgeRowEntries = 5;               // what a row takes besides its ages
constexpr int64_t kMaxScheduleEntries = 4'000'000;  // operations run in one hyper-period
constexpr int64_t kMaxAnalysisSteps = 200'000'000;  // of any one analysis of clocks and ages

}  // namespace pvnet
