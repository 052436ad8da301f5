// SPDX-License-Identifier: Apache-2.0
// How far CPUs are from each other. Cores of one cache reach each other in some 30 ns, others in
// several times as long. A virtual machine is not told which it has, and that changes.
#pragma once

namespace pvnet {

// Nanoseconds until a store of one CPU is seen by the other: the best of some rounds between the
// first two CPUs that the process may use. Negative where there is one CPU, or no thread to be had.
double core_to_core_ns();

}  // namespace pvnet
