// SPDX-License-Identifier: Apache-2.0
// A trace of tiles: the device fills records, and the host learns after each tick which are new.
#pragma once

#include <vector>

#include "runtime/cuda/engine.hpp"

namespace pvnet::cuda {

struct CudaEngine::Trace {
  explicit Trace(const Device& device) : memory(device, Memory::device) {}
  // The tick of every row in the tick that was enqueued last.
  void note(const Rows& rows, int batch) { ticks.assign(rows.ticks, rows.ticks + batch); }

  Arena memory;
  size_t records = 0, count = 0;  // parts of it
  size_t capacity = 0;
  size_t collected = 0;        // records that became events
  std::vector<int64_t> ticks;  // empty: nothing to collect
  std::vector<TraceEvent> events;
  bool running = false;
  int64_t host_minus_device_ns = 0;
};

}  // namespace pvnet::cuda
