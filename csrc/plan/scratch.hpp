// SPDX-License-Identifier: Apache-2.0
// Scratch of groups that never run at the same time.
#pragma once

#include "plan/plan.hpp"

namespace pvnet {

// Groups that one lane runs one after the other, in every tick, get the same scratch: what a group
// has just written is in that core's cache, and the next one writes there again. The schedule is
// made, and every group has scratch of its own. Kernels of the host only.
void share_scratch(Plan& plan);

}  // namespace pvnet
