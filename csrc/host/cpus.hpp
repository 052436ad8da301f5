// SPDX-License-Identifier: Apache-2.0
// The CPUs of this process: which it may use, how many are worth using, and which of them the lanes
// of its streams have taken.
#pragma once

#include <vector>

namespace pvnet {

// Ids of the CPUs that this process may use, ascending; never empty.
std::vector<int> allowed_cpus();

// CPUs worth using: those allowed, at most the container's quota rounded down, at least 1.
int usable_cpus();

// CPUs of their own for the lanes of one team. Where the teams of this process have taken them all,
// the system puts the rest where it likes: two workers on one CPU would wait for each other.
class CpuShare {
 public:
  CpuShare() = default;
  explicit CpuShare(int lanes);
  ~CpuShare();
  CpuShare(CpuShare&& other) noexcept;
  CpuShare& operator=(CpuShare&& other) noexcept;

  // CPU of lane `lane`; -1: wherever the system puts it. Lane 0 is the caller, whose CPU is not
  // ours to choose: its CPU is only kept free of workers.
  int cpu(int lane) const;
  // Moves the caller off the CPU of a worker, where it may run on another one. The system leaves
  // both there for milliseconds, each waiting for the other, while another CPU does nothing. What
  // CPUs the caller may use is as before. Allocates nothing.
  void give_way() const;

 private:
  std::vector<int> cpus_;
};

}  // namespace pvnet
