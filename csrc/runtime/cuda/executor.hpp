// SPDX-License-Identifier: Apache-2.0
// Ways to hand the launches of a tick to a device. All of them run the same launch list, so that
// the bits are the same.
#pragma once

#include <memory>

#include "runtime/cuda/launcher.hpp"

namespace pvnet::cuda {

class Executor {
 public:
  explicit Executor(Launcher launcher) : launcher_(std::move(launcher)) {}
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  virtual ExecutorKind kind() const = 0;
  // Everything that a tick may not do: allocations, graphs.
  virtual Status prepare() { return {}; }
  // begin, tiles and end on `stream`. phase: of all rows that run; -1: of several.
  virtual Status run(CudaStream stream, int phase) = 0;
  // The same launch by launch, of any phase, for a caller who captures them.
  virtual Status run_captured(CudaStream stream) { return run_in_order(stream, -1, true); }

 protected:
  virtual device::Gather gather() const = 0;
  Status run_in_order(CudaStream stream, int phase, bool captured);
  Machine& machine() const { return launcher_.machine(); }

  Launcher launcher_;
};

// kind: not automatic.
Result<std::unique_ptr<Executor>> make_executor(ExecutorKind kind, const Launcher& launcher);

// The executors that make_executor() knows, those of one file each.
std::unique_ptr<Executor> serial_executor(const Launcher& launcher);
std::unique_ptr<Executor> streams_executor(const Launcher& launcher);
std::unique_ptr<Executor> graph_executor(ExecutorKind kind, const Launcher& launcher);

}  // namespace pvnet::cuda
