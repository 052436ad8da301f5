// SPDX-License-Identifier: Apache-2.0
#include "stack.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "error.hpp"

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif
#if defined(__has_feature)  // clang; gcc has macros
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace shim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackBytes = size_t{256} << 10;
#else
constexpr size_t kStackBytes = size_t{64} << 10;
#endif
constexpr uint64_t kCanary = 0x70767368696d2121;

// Never freed: threads of a launch that failed may still lie on some.
std::vector<char*>& idle_stacks() {
  static auto* idle = new std::vector<char*>;
  return *idle;
}

}  // namespace

char* take_stack() {
  std::vector<char*>& idle = idle_stacks();
  if (!idle.empty()) {
    char* const stack = idle.back();
    idle.pop_back();
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, kStackBytes);  // frames that never returned
#endif
    return stack;
  }
  char* const stack = static_cast<char*>(std::aligned_alloc(64, kStackBytes));
  if (stack == nullptr) throw std::bad_alloc();
  std::memcpy(stack, &kCanary, sizeof(kCanary));
  return stack;
}

void give_stack(char* stack) {
  if (std::memcmp(stack, &kCanary, sizeof(kCanary)) != 0) {
    fail_hard("a kernel needs more than 64 KiB of stack");
  }
  idle_stacks().push_back(stack);
}

#if defined(__x86_64__)

// Six registers that a callee keeps, below the address to return to.
asm(R"(.text
.globl pv_shim_switch_stack
.hidden pv_shim_switch_stack
.type pv_shim_switch_stack,@function
pv_shim_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size pv_shim_switch_stack,.-pv_shim_switch_stack
)");

void* prepare_stack(char* stack, void (*entry)()) {
  void** top = reinterpret_cast<void**>(stack + kStackBytes);
  *--top = nullptr;  // where `entry` would return to
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  return top;
}

#elif defined(__aarch64__)

// x19 to x30 and d8 to d15.
asm(R"(.text
.globl pv_shim_switch_stack
.hidden pv_shim_switch_stack
.type pv_shim_switch_stack,@function
pv_shim_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size pv_shim_switch_stack,.-pv_shim_switch_stack
)");

void* prepare_stack(char* stack, void (*entry)()) {
  void** const top = reinterpret_cast<void**>(stack + kStackBytes - 160);
  std::memset(top, 0, 160);
  top[11] = reinterpret_cast<void*>(entry);
  return top;
}

#else

extern "C" void pv_shim_switch_stack(void** from, void* to) {
  ucontext_t self;
  *from = &self;
  swapcontext(&self, static_cast<ucontext_t*>(to));
}

void* prepare_stack(char* stack, void (*entry)()) {
  ucontext_t* const context = new (stack + 64) ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = stack + 8192;
  context->uc_stack.ss_size = kStackBytes - 8192;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

#endif

}  // namespace shim
