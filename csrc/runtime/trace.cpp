// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace.hpp"

#include <algorithm>
#include <utility>

namespace pvnet {

void TraceRecorder::start(size_t capacity) {
  // All of them before any is given up for its new one: an allocation may fail.
  std::vector<Lane> empty(lanes_.size());
  for (Lane& lane : empty) lane.events.resize(capacity);
  lanes_ = std::move(empty);
  running_ = true;
}

std::vector<TraceEvent> TraceRecorder::stop() {
  std::vector<TraceEvent> all;
  running_ = false;
  for (const Lane& lane : lanes_) {
    all.insert(all.end(), lane.events.begin(),
               lane.events.begin() + static_cast<std::ptrdiff_t>(lane.used));
  }
  std::sort(all.begin(), all.end(), [](const TraceEvent& a, const TraceEvent& b) {
    return a.begin_ns < b.begin_ns || (a.begin_ns == b.begin_ns && a.lane < b.lane);
  });
  return all;
}

void TraceRecorder::clear() {
  for (Lane& lane : lanes_) lane = {};
}

}  // namespace pvnet
