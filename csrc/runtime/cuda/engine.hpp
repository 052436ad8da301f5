// SPDX-License-Identifier: Apache-2.0
// The engine of kernels on a device. A tick is enqueued, not waited for: the upload of the next
// frames and the download of the last results run beside it, on cuda_streams of their own; read()
// waits. Inside a tick nothing allocates, waits or uses the default cuda_stream.
#pragma once

#include <memory>
#include <vector>

#include "runtime/cuda/executor.hpp"
#include "runtime/cuda/stream_memory.hpp"
#include "runtime/device_ticks.hpp"
#include "runtime/engine.hpp"

namespace pvnet::cuda {

class CudaEngine final : public Engine, public DeviceTicks {
 public:
  static Result<std::unique_ptr<Engine>> create(std::shared_ptr<const Plan> plan);
  ~CudaEngine() override;

  Status begin(const FrameView* frames, const Rows& rows) override;
  Status tick(const Rows& rows, float* const* outputs) override;
  Status read(int index, int row, int64_t ticks, float* dst) const override;
  Status reset(int row) override;
  Status save(int row, int64_t ticks, void* dst) const override;
  Status load(int row, int64_t ticks, const void* src) override;
  const Value* not_finite(int64_t ticks, const void* saved) const override;
  int lanes_used() const override { return turn_ > 0 ? 1 : 0; }
  Status trace_start(size_t capacity) override;
  std::vector<TraceEvent> trace_stop() override;
  void trace_clear() override;
  void poison(int row, int64_t ticks) override;
  DeviceTicks* device_ticks() override { return this; }

  // device_ticks.cpp
  int device() const override;
  StreamNumber own_stream() const override;
  Status enqueue(const TickOrder& order, const FrameView* frames, const Rows& rows) override;
  DeviceResults last_results() const override;
  Result<const float*> data(const DeviceResults& results, int index) const override;
  int64_t row_floats() const override;
  Status make_wait(StreamNumber stream, const DeviceResults& results) const override;
  Status read(const DeviceResults& results, int index, int row, float* dst) const override;
  Status not_finite(const DeviceResults& results, int* frame) const override;

  // A tick on the caller's cuda_stream, in its order and without waiting; frames [input][row] point
  // to memory of the device that stays as it is until the tick has run. Where the cuda_stream is
  // being captured, the tick belongs to the graph: replays make ticks of the rows that run, on the
  // frames that lie there then, and begin() and enqueue() are refused from then on. Earlier ticks
  // must have ended before.
  Status enqueue(CudaStream stream, const pv_frame* frames, const Rows& rows);
  // Outputs of the last tick on the device, [row][floats of a row]; of captured ticks always there.
  const float* device_results() const;

  ExecutorKind executor() const { return executor_->kind(); }
  Machine& machine() const { return *device_.machine; }

 private:
  // A request or a result of one turn, on its way.
  struct Turn {
    OwnedEvent uploaded, done, downloaded;
  };

  CudaEngine(std::shared_ptr<const Plan> plan, std::shared_ptr<const Resident> resident,
             const Device& device);
  Status prepare();
  // create.cpp: with the executor that the plan asks for, or the quickest.
  Status choose_executor();
  Status use_executor(ExecutorKind kind);
  // measure.cpp: ticks of zeros, after which the memory is to be cleared. *ticks: made until now.
  Result<ExecutorKind> measure_executors(int64_t* ticks);
  Status measure_stages(int64_t* ticks);  // unless they are known
  Result<double> measure(Executor& executor, int64_t* ticks);
  Status upload_zeros();

  // Runs `work` with the device chosen, unless it has failed, and finds out whether it has now.
  template <class F>
  Status guarded(const char* where, F&& work) const;
  Status find_failure(const Status& status, const char* where) const;
  Moment moment_of(const Rows& rows) const;
  Status upload(int number, int64_t bytes);
  Status upload_in_tick(int number, int64_t bytes, CudaStream stream);
  Status run_tick(CudaStream stream, const Rows& rows, bool downloads);
  Status capture(CudaStream stream, const pv_frame* frames, const Rows& rows);
  Result<int> number_of_results(const DeviceResults& results) const;
  Status download(int number) const;  // enqueues that of a result
  Status fetch(int number) const;     // waits for it
  Status read_number(int number, int index, int row, float* dst) const;
  Status show_again(int row);  // outputs of the row's last tick to the results
  Status wait() const;         // for all that was enqueued
  Status collect_trace();

  std::shared_ptr<const Plan> plan_;
  std::shared_ptr<const Resident> resident_;
  Device device_;
  mutable StreamMemory memory_;
  OwnedStream compute_, up_, down_;
  Turn turns_[kRequests];
  std::unique_ptr<Executor> executor_;
  int64_t turn_ = 0;  // ticks enqueued; that of the device once they have run
  int result_ = 0;    // number of the last tick's
  mutable bool fetched_[kRequests] = {true, true, true};  // a result's copy is under way, or there
  CudaStream last_ = nullptr;                             // where the last tick was enqueued
  CudaStream shown_ = nullptr;                            // in whose order its results are
  OwnedEvent arrived_;  // from a cuda_stream of the caller to one of ours, and back
  std::vector<pv_frame> device_frames_;  // [input * batch]
  bool captured_ = false;
  mutable Status failure_;  // of the device, or of a tick that was half enqueued

  // A trace: records of tiles, and of which ticks they are.
  struct Trace;
  std::unique_ptr<Trace> trace_;
};

}  // namespace pvnet::cuda

#include "runtime/cuda/guarded.inl"
