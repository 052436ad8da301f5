// SPDX-License-Identifier: Apache-2.0
// What tests do to a Stream and nobody else may.
#pragma once

#include <optional>

#include "runtime/cpu/lane_policy.hpp"
#include "runtime/stream.hpp"

namespace pvnet {

struct StreamHooks {
  // Overwrites every slot that holds no live firing, and all scratch, with NaN.
  static void poison_unwritten(StreamCore& stream);
  // Every tick is made in this way, as where other programs keep the CPUs busy; without one as the
  // stream likes.
  static void make_ticks(StreamCore& stream, std::optional<TickWay> way);
  // Whether the lanes of the last tick have stored the row's results.
  static bool has_stored(const StreamCore& stream, int row);
};

}  // namespace pvnet
