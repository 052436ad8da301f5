// SPDX-License-Identifier: Apache-2.0
// The tables of the instruction sets; each is defined in isa_<name>.cpp, whose code other machines
// must not run. select.cpp asks the machine first.
#pragma once

#include "backends/kernel_api.hpp"

namespace pvnet::cpu {

#if defined(__x86_64__)
const Backend& avx512_backend();
const Backend& avx2_backend();
#endif
#if defined(__aarch64__)
const Backend& neon_backend();
#endif
const Backend& scalar_backend();

}  // namespace pvnet::cpu
