// SPDX-License-Identifier: Apache-2.0
// Stacks for the threads of a block, and the switch from one to another.
#pragma once

#include <cstddef>

namespace shim {

// A stack of kStackBytes; give_stack() keeps it for the next one who asks. Fails (error.hpp) when
// one comes back that was written beyond its end.
char* take_stack();
void give_stack(char* stack);

// What switch_stack() needs to begin `entry` on a stack. `entry` never returns.
void* prepare_stack(char* stack, void (*entry)());

// Leaves the stack that runs, to be continued from *from, and continues `to`.
extern "C" void pv_shim_switch_stack(void** from, void* to);

}  // namespace shim
