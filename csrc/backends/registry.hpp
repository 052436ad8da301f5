// SPDX-License-Identifier: Apache-2.0
// From the name of a backend to its entry.
#pragma once

#include <string>
#include <string_view>

#include "graph/status.hpp"

#include "backends/backend.hpp"

namespace pvnet {

// name: "auto" (= "cpu"), "ref", "cpu", "cuda". isa: an instruction set of the cpu backend; "" =
// the best this machine has, or PVNET_CPU_ISA. ref has one set, "scalar"; cuda has "sm80" and, with
// simple kernels only, "plain". dtype: backends on the host have an entry for each of theirs; what
// is no name of one leads to that of f32, and compile() refuses it.
Result<const Backend*> find_backend(std::string_view name, std::string_view isa,
                                    std::string_view dtype = "f32");

// JSON list of everything that can be asked for:
// [{"name": "cpu", "isa": "avx512", "available": true, "why": ""}, ...], best first. why says what
// is missing where available is false.
std::string describe_backends();

// Tests only: what find_backend("test", "") gives; nullptr, as at first: an unknown name. No other
// thread may look meanwhile.
void set_test_backend(const Backend* entry);

// Whether kernels of a device run here (cuda/device.cpp).
Status cuda_machine(std::string_view isa);

}  // namespace pvnet
