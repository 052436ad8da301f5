// SPDX-License-Identifier: Apache-2.0
// The calls of a CUDA runtime that pvnet makes, as a table: `cudart.cpp` has the real ones, and
// tests have a machine of their own (tests/shim/fake_cuda.hpp). Every call returns an error code of
// the runtime, 0 for success; error.hpp makes a Status of it. No CUDA header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/program.h"

namespace pvnet::cuda {

using ErrorCode = int;  // cudaError_t
constexpr ErrorCode kSuccess = 0;
constexpr ErrorCode kOutOfMemory = 2;
constexpr ErrorCode kInsufficientDriver = 35;  // also where there is none
constexpr ErrorCode kNoDevice = 100;
constexpr ErrorCode kNotReady = 600;

// Handles of the runtime; null is none, and never the default cuda_stream.
using CudaStream = struct CudaStreamTag*;
using Event = struct EventTag*;
using Graph = struct GraphTag*;
using GraphNode = struct GraphNodeTag*;
using GraphExec = struct GraphExecTag*;

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 1;
  int64_t memory_bytes = 0;
  bool early_launch = false;  // programmatic dependent launch
  bool clock = true;          // elapsed_ms() measures; a machine for tests may have none
};

// In the order of pv_kernel() in kernels/tick.cu.
enum class Kernel : int { begin = 0, tiles = 1, end = 2, plain_tiles = 3, rare_tiles = 4 };

struct KernelLaunch {
  Kernel kernel = Kernel::tiles;
  pv_dtype dtype = PV_F32;
  pv_program program = {};
  pv_call call = {};
  int blocks = 1;  // of PV_THREADS threads
  int shared_bytes = 0;
  // The kernel may start while the launch in front of it still runs: it waits for its end itself,
  // before it reads what that one writes.
  bool early = false;
};

class Machine {
 public:
  Machine() = default;
  virtual ~Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // 1000 * major + 10 * minor of the newest CUDA that the driver runs; 0: there is no driver.
  virtual ErrorCode driver_version(int* version) = 0;
  virtual ErrorCode device_count(int* count) = 0;
  virtual ErrorCode device_facts(int device, DeviceFacts* facts) = 0;
  // Of the calling thread.
  virtual ErrorCode current_device(int* device) = 0;
  virtual ErrorCode use_device(int device) = 0;

  virtual ErrorCode free_memory(int64_t* bytes) = 0;  // of the device of the calling thread
  virtual ErrorCode allocate(void** memory, size_t bytes) = 0;
  virtual ErrorCode release(void* memory) = 0;
  virtual ErrorCode allocate_pinned(void** memory, size_t bytes) = 0;
  virtual ErrorCode release_pinned(void* memory) = 0;

  virtual ErrorCode create_stream(CudaStream* stream) = 0;  // beside the default one
  virtual ErrorCode destroy_stream(CudaStream stream) = 0;
  virtual ErrorCode synchronise(CudaStream stream) = 0;
  virtual ErrorCode is_capturing(CudaStream stream, bool* capturing) = 0;

  // In the order of the cuda_stream, without waiting. Host memory is pinned, or else the call
  // waits.
  virtual ErrorCode copy(void* to, const void* from, size_t bytes, CudaStream stream) = 0;
  virtual ErrorCode fill(void* to, int byte, size_t bytes, CudaStream stream) = 0;
  virtual ErrorCode launch(const KernelLaunch& launch, CudaStream stream) = 0;

  virtual ErrorCode create_event(Event* event, bool timed) = 0;
  virtual ErrorCode destroy_event(Event event) = 0;
  virtual ErrorCode record(Event event, CudaStream stream) = 0;
  virtual ErrorCode wait(CudaStream stream, Event event) = 0;  // of what is enqueued after it
  virtual ErrorCode query(Event event) = 0;                    // kNotReady: not yet
  virtual ErrorCode synchronise(Event event) = 0;
  virtual ErrorCode elapsed_ms(Event begin, Event end, float* ms) = 0;

  virtual ErrorCode create_graph(Graph* graph) = 0;
  virtual ErrorCode destroy_graph(Graph graph) = 0;
  // After all of `after`. launch.early: with one node in front of it, it may start early.
  virtual ErrorCode add_kernel(Graph graph, const KernelLaunch& launch, const GraphNode* after,
                               size_t n_after, GraphNode* node) = 0;
  virtual ErrorCode instantiate(Graph graph, GraphExec* exec) = 0;
  virtual ErrorCode destroy_exec(GraphExec exec) = 0;
  virtual ErrorCode launch(GraphExec exec, CudaStream stream) = 0;

  virtual const char* text(ErrorCode code) = 0;

  // Between these marks a tick is enqueued. Of use to tests only.
  virtual void enter_tick(CudaStream) {}
  virtual void leave_tick() {}
};

}  // namespace pvnet::cuda
