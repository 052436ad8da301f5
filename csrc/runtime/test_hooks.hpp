// SPDX-License-Identifier: Apache-2.0
// What tests do to a Stream and nobody else may.
#pragma once

#include "runtime/stream.hpp"

namespace pvnet {

struct StreamHooks {
  // Overwrites every slot that holds no live firing, and all scratch, with NaN.
  static void poison_unwritten(StreamCore& stream);
  // The caller makes every tick, as where other programs keep the CPUs busy.
  static void make_alone(StreamCore& stream, bool alone);
};

}  // namespace pvnet
