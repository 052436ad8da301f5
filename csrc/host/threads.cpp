// SPDX-License-Identifier: Apache-2.0
#include "host/threads.hpp"

#include <sched.h>

#include <csignal>

#include <atomic>

namespace pvnet {
namespace {

std::atomic<uint32_t> generation{0};

// At load time: a fork between two ticks must find it, and a tick must not register it.
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });

void pin(pthread_t thread, int cpu) {
  cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(cpu) + 1);
  if (set == nullptr) return;
  const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpu) + 1);
  CPU_ZERO_S(bytes, set);
  CPU_SET_S(static_cast<size_t>(cpu), bytes, set);
  pthread_setaffinity_np(thread, bytes, set);
  CPU_FREE(set);
}

}  // namespace

uint32_t fork_generation() { return generation.load(std::memory_order_relaxed); }

int start_thread(pthread_t& thread, void* (*body)(void*), void* argument, int cpu) {
  sigset_t all, before;
  sigfillset(&all);
  // A fault belongs to the thread that makes it: blocked, it would end the process past any
  // handler.
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) {
    sigdelset(&all, fault);
  }
  pthread_sigmask(SIG_SETMASK, &all, &before);  // a new thread inherits the mask
  const int error = pthread_create(&thread, nullptr, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error == 0 && cpu >= 0) pin(thread, cpu);
  return error;
}

void name_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace pvnet
