// SPDX-License-Identifier: Apache-2.0
#include "runtime/test_hooks.hpp"

#include "runtime/cpu/engine.hpp"

namespace pvnet {

void StreamHooks::poison_unwritten(StreamCore& stream) {
  for (size_t r = 0; r < stream.ticks_.size(); ++r) {
    stream.engine_->poison(static_cast<int>(r), stream.ticks_[r]);
  }
}

void StreamHooks::make_ticks(StreamCore& stream, std::optional<TickWay> way) {
  // Other engines have no lanes.
  if (auto* cpu = dynamic_cast<CpuEngine*>(stream.engine_.get())) cpu->make_ticks(way);
}

bool StreamHooks::has_stored(const StreamCore& stream, int row) {
  return stream.engine_->has_stored(row);
}

}  // namespace pvnet
