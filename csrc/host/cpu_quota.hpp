// SPDX-License-Identifier: Apache-2.0
// How much CPU time a container may use: a process that starts more lanes than its quota has CPUs
// is stopped in the middle of ticks until the next period begins.
#pragma once

#include <string>

namespace pvnet {

// CPUs' worth of time that the control groups (v1 and v2) of this process allow, the smallest of
// the group and all above it; 0 when nothing limits it. `root` is put in front of /proc and of the
// mount points (tests make a tree of their own).
double cpu_quota(const std::string& root = "");

}  // namespace pvnet
