// SPDX-License-Identifier: Apache-2.0
// One launch of a kernel, run now or later, at once or in two parts: a launch that depends on the
// one before by griddepcontrol may run up to its wait before that one begins.
//
// One Grid runs at a time, whatever thread of the process asks; Grids of any number of streams may
// be under way.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "block.hpp"
#include "error.hpp"

namespace shim {

struct Launch {
  int blocks = 1, threads = 128;
  size_t shared_bytes = 0;
  std::function<void()> body;  // calls the kernel
  bool programmatic = false;   // every thread must wait for the launch before
};

class Grid {
 public:
  explicit Grid(Launch launch);  // throws Error where a device would refuse the launch
  ~Grid();
  Grid(const Grid&) = delete;
  Grid& operator=(const Grid&) = delete;

  // Some blocks, at most as many as a device has room for, run until all their threads wait for
  // the launch before, or have ended. Throws Error.
  void start();
  // All else. Throws Error.
  void finish();

  // cp.async of all threads before they waited for the launch before.
  int64_t early_copies() const { return work_.early_copies; }

 private:
  Launch launch_;
  Work work_;
  std::vector<unsigned> waiting_;  // blocks that have not begun
  std::vector<std::unique_ptr<Block>> started_;

  void enter() const;
};

// Runs a launch. Throws Error.
void run(Launch launch);
// Launches in order, each started early in front of the one before. Throws Error.
void run_early(std::vector<Launch> launches);

}  // namespace shim
