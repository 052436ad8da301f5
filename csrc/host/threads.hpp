// SPDX-License-Identifier: Apache-2.0
// Starting threads inside somebody else's process: signals stay with the program's own threads, a
// refusal is a value, and a fork leaves nothing that waits for threads which do not exist.
#pragma once

#include <pthread.h>

#include <cstdint>

namespace pvnet {

// 0 in a process that has not been forked since this library was loaded, one more after every fork:
// who remembers an older number stands in a copy, without the threads that the original had.
uint32_t fork_generation();

// Starts `body(argument)` with all signals but those of faults blocked, on CPU `cpu` unless that is
// negative. With a CPU the body must last until this has returned: what has ended has no CPU, and
// the system would take the caller for it. Returns 0 or the error number of the refusal, and then
// nothing was started.
int start_thread(pthread_t& thread, void* (*body)(void*), void* argument, int cpu = -1);

// Of the calling thread, at most 15 characters, as tools show it.
void name_thread(const char* name);

}  // namespace pvnet
