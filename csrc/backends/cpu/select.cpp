// SPDX-License-Identifier: Apache-2.0
// Which instruction sets this build has, which of them this machine can run, and which one to take.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "backends/cpu/isa.hpp"

namespace pvnet {
namespace {

struct Entry {
  const char* name;
  bool runs;
  const HostKernels& (*table)(Dtype);
};

// Best first; the sets this build lacks are listed too, so that a message can tell them apart from
// misspelled names.
constexpr int kEntries = 4;

#if defined(__x86_64__)
const HostKernels& avx512(Dtype dtype) {
  switch (dtype) {
    case Dtype::bf16:
      return __builtin_cpu_supports("avx512bf16") ? cpu::avx512_dot_kernels()
                                                  : cpu::avx512_bf16_kernels();
    case Dtype::int8:
      return __builtin_cpu_supports("avx512vnni") ? cpu::avx512_vnni_kernels()
                                                  : cpu::avx512_int8_kernels();
    default:
      return cpu::avx512_kernels();
  }
}
// AVX-VNNI, whose name not every compiler knows: leaf 7, subleaf 1, EAX bit 4.
bool has_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBit = 1u << 4;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kBit) != 0;
}
const HostKernels& avx2(Dtype dtype) {
  static const bool vnni = has_avx_vnni();
  switch (dtype) {
    case Dtype::bf16:
      return cpu::avx2_bf16_kernels();
    case Dtype::int8:
      return vnni ? cpu::avx2_vnni_kernels() : cpu::avx2_int8_kernels();
    default:
      return cpu::avx2_kernels();
  }
}
#endif
#if defined(__aarch64__)
bool has_dot_product() {
#if defined(__linux__)
  constexpr unsigned long kAsimdDp = 1ul << 20;  // HWCAP_ASIMDDP, which old headers lack
  return (getauxval(AT_HWCAP) & kAsimdDp) != 0;
#elif defined(__ARM_FEATURE_DOTPROD)
  return true;
#else
  return false;
#endif
}
const HostKernels& neon(Dtype dtype) {
  static const bool dot = has_dot_product();
  switch (dtype) {
    case Dtype::bf16:
      return cpu::neon_bf16_kernels();
    case Dtype::int8:
      return dot ? cpu::neon_dot_kernels() : cpu::neon_int8_kernels();
    default:
      return cpu::neon_kernels();
  }
}
#endif
const HostKernels& scalar(Dtype dtype) {
  return dtype == Dtype::bf16   ? cpu::scalar_bf16_kernels()
         : dtype == Dtype::int8 ? cpu::scalar_int8_kernels()
                                : cpu::scalar_kernels();
}

struct Registry {
  Entry entries[kEntries];
  const char* names[kEntries + 1] = {};

  Registry()
      : entries{
#if defined(__x86_64__)
            {"avx512",
             __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("fma"),
             avx512},
            {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), avx2},
#else
            {"avx512", false, nullptr},
            {"avx2", false, nullptr},
#endif
#if defined(__aarch64__)
            {"neon", true, neon},
#else
            {"neon", false, nullptr},
#endif
            {"scalar", true, scalar}} {
    int n = 0;
    for (const Entry& e : entries) {
      if (e.runs) names[n++] = e.name;
    }
  }
};

const Registry& registry() {
  static const Registry instance;
  return instance;
}

const char* refusal(const char* what, const char* isa, bool from_environment) {
  thread_local char text[320];
  char usable[64] = "";
  for (const char* const* p = registry().names; *p != nullptr; ++p) {
    if (usable[0] != 0) std::strncat(usable, ", ", sizeof usable - std::strlen(usable) - 1);
    std::strncat(usable, *p, sizeof usable - std::strlen(usable) - 1);
  }
  std::snprintf(text, sizeof text, "[find_backend] %s: got \"%.40s\", expected one of %s. %s.",
                what, isa, usable,
                from_environment ? "Unset or change the environment variable PVNET_CPU_ISA"
                                 : "Leave isa empty to take the best one");
  return text;
}

}  // namespace

const char* const* cpu_isas() { return registry().names; }

const HostKernels* cpu_kernels(const char* isa, const char** why, Dtype dtype) {
  bool from_environment = false;
  if (isa == nullptr || isa[0] == 0) {
    isa = std::getenv("PVNET_CPU_ISA");
    from_environment = true;
    if (isa == nullptr || isa[0] == 0) isa = registry().names[0];
  }
  for (const Entry& e : registry().entries) {
    if (std::strcmp(e.name, isa) != 0) continue;
    if (e.runs) return &e.table(dtype);
    if (why != nullptr) {
      *why = refusal(e.table == nullptr ? "this build lacks the instruction set"
                                        : "this machine lacks the instruction set",
                     isa, from_environment);
    }
    return nullptr;
  }
  if (why != nullptr) *why = refusal("unknown instruction set", isa, from_environment);
  return nullptr;
}

}  // namespace pvnet
