// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/engine.hpp"

#include <cstring>
#include <utility>

#include "backends/cuda/error.hpp"
#include "runtime/cuda/trace.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kTick = "Stream.tick";
constexpr const char* kRead = "Stream.read";

// Tests see the tick between these.
class TickMark {
 public:
  TickMark(Machine& machine, CudaStream stream) : machine_(machine) { machine_.enter_tick(stream); }
  ~TickMark() { machine_.leave_tick(); }
  TickMark(const TickMark&) = delete;
  TickMark& operator=(const TickMark&) = delete;

 private:
  Machine& machine_;
};

Status captured_already() {
  return {Code::state,
          "[Stream.tick] the ticks of this Stream belong to a captured graph: got another tick, "
          "expected replays of the graph. Make another Stream of the Plan."};
}

}  // namespace

// A failed device answers every call with its error.
Status CudaEngine::find_failure(const Status& status, const char* where) const {
  const ErrorCode code = machine().query(turns_[0].done.get());
  if (!is_sticky(code)) return status;
  failure_ = device_failed(machine(), code, where);
  return failure_;
}

// phase -1: the rows that run stand at several ticks of the hyper-period.
Moment CudaEngine::moment_of(const Rows& rows) const {
  Moment moment;
  bool first = true;
  for (int r = 0; r < plan_->options.batch; ++r) {
    if (!rows.runs(r)) continue;
    const auto phase = static_cast<int>(rows.ticks[r] % plan_->hyper_period);
    if (first) moment = {phase, rows.ticks[r]};
    first = false;
    if (phase != moment.phase) moment.phase = -1;
  }
  return moment;
}

// In front of the request lies the tick that read it last, two turns ago.
Status CudaEngine::upload(int number, int64_t bytes) {
  const Turn& turn = turns_[number];
  const CudaStream up = up_.get();
  PVNET_CUDA_TRY(machine(), wait(up, turn.done.get()), kTick, "the upload of frames");
  PVNET_CUDA_TRY(
      machine(),
      copy(memory_.request(number), memory_.pinned_request(number), static_cast<size_t>(bytes), up),
      kTick, "the upload of frames");
  PVNET_CUDA_TRY(machine(), record(turn.uploaded.get(), up), kTick, "the upload of frames");
  return {};
}

// Where it fails, nothing of the request is under way.
Status CudaEngine::upload_in_tick(int number, int64_t bytes, CudaStream stream) {
  const Status status = [&] {
    const TickMark mark(machine(), stream);
    return upload(number, bytes);
  }();
  if (!status.ok()) (void)machine().synchronise(up_.get());
  return status;
}

Status CudaEngine::begin(const FrameView* frames, const Rows& rows) {
  if (captured_) return captured_already();
  return guarded(kTick, [&]() -> Status {
    PVNET_TRY(check_finite(*plan_, frames, rows.mask));
    const int number = static_cast<int>(turn_ % kTurns);
    PVNET_TRY(collect_trace());
    // The frames of two ticks ago have left the pinned memory by now, or the host is too quick.
    PVNET_CUDA_TRY(machine(), synchronise(turns_[number].uploaded.get()), kTick,
                   "waiting for an upload");
    const int64_t bytes = memory_.write_request(number, frames, rows);
    return upload_in_tick(number, bytes, compute_.get());
  });
}

Status CudaEngine::tick(const Rows& rows, float* const* /*outputs*/) {
  return guarded(kTick, [&] { return run_tick(compute_.get(), rows, true); });
}

// The results of two ticks ago may still be on their way: nobody will see them, for the copy of the
// new ones comes behind them.
Status CudaEngine::run_tick(CudaStream stream, const Rows& rows, bool downloads) {
  const int number = static_cast<int>(turn_ % kTurns);
  const Turn& turn = turns_[number];
  const TickMark mark(machine(), stream);
  PVNET_CUDA_TRY(machine(), wait(stream, turn.uploaded.get()), kTick, "an event");
  if (last_ != stream) {
    const Event before = turns_[1 - number].done.get();
    PVNET_CUDA_TRY(machine(), wait(stream, before), kTick, "an event");
  }
  // From here on the state changes.
  const Status status = [&]() -> Status {
    PVNET_TRY(executor_->run(stream, moment_of(rows)));
    PVNET_CUDA_TRY(machine(), record(turn.done.get(), stream), kTick, "an event");
    return {};
  }();
  if (!status.ok()) {
    failure_ = status;
    return status;
  }
  last_ = shown_ = stream;
  result_ = number;
  fetched_[number] = false;
  ++turn_;
  if (trace_ != nullptr) trace_->note(rows, plan_->options.batch);
  // The tick is made, so that a download that fails is no failure of it: read() tries again.
  if (downloads && !download(number).ok()) fetched_[number] = false;
  return {};
}

Status CudaEngine::download(int number) const {
  const CudaStream down = down_.get();
  const Turn& turn = turns_[number];
  PVNET_CUDA_TRY(machine(), wait(down, turn.done.get()), kRead, "the download of results");
  PVNET_CUDA_TRY(machine(),
                 copy(memory_.pinned_result(number), memory_.result(number),
                      static_cast<size_t>(memory_.program().result_bytes), down),
                 kRead, "the download of results");
  PVNET_CUDA_TRY(machine(), record(turn.downloaded.get(), down), kRead, "the download of results");
  fetched_[number] = number != kCapturedRequest;  // of which replays make new ones
  return {};
}

Status CudaEngine::fetch(int number) const {
  if (!fetched_[number]) PVNET_TRY(download(number));
  PVNET_CUDA_TRY(machine(), synchronise(turns_[number].downloaded.get()), kRead,
                 "waiting for results");
  return {};
}

Status CudaEngine::read_number(int number, int index, int row, float* dst) const {
  PVNET_TRY(fetch(number));
  const pv_output& output = resident_->host().outputs[static_cast<size_t>(index)];
  const auto* results =
      reinterpret_cast<const float*>(memory_.pinned_result(number) + sizeof(pv_result));
  std::memcpy(dst, results + row * memory_.program().row_floats + output.offset,
              static_cast<size_t>(int64_t{output.c} * output.h * output.w) * sizeof(float));
  return {};
}

Status CudaEngine::read(int index, int row, int64_t /*ticks*/, float* dst) const {
  return guarded(kRead, [&] { return read_number(result_, index, row, dst); });
}

Status CudaEngine::enqueue(CudaStream stream, const pv_frame* frames, const Rows& rows) {
  if (captured_) return captured_already();
  return guarded(kTick, [&]() -> Status {
    bool capturing = false;
    PVNET_CUDA_TRY(machine(), is_capturing(stream, &capturing), kTick, "asking for a capture");
    if (capturing) return capture(stream, frames, rows);
    const int number = static_cast<int>(turn_ % kTurns);
    PVNET_TRY(collect_trace());
    PVNET_CUDA_TRY(machine(), synchronise(turns_[number].uploaded.get()), kTick,
                   "waiting for an upload");
    const int64_t bytes = memory_.write_request(number, frames, rows);
    PVNET_TRY(upload_in_tick(number, bytes, stream));
    return run_tick(stream, rows, false);
  });
}

// The request that replays read is written here once; the graph copies it each time.
Status CudaEngine::capture(CudaStream stream, const pv_frame* frames, const Rows& rows) {
  captured_ = true;
  const int64_t bytes = memory_.write_request(kCapturedRequest, frames, rows);
  const TickMark mark(machine(), stream);
  PVNET_CUDA_TRY(machine(),
                 copy(memory_.request(kCapturedRequest), memory_.pinned_request(kCapturedRequest),
                      static_cast<size_t>(bytes), stream),
                 kTick, "the upload of frames");
  PVNET_TRY(executor_->run_captured(stream));
  result_ = kCapturedRequest;
  fetched_[result_] = false;
  return {};
}

const float* CudaEngine::device_results() const {
  return reinterpret_cast<const float*>(memory_.result(result_) + sizeof(pv_result));
}

}  // namespace pvnet::cuda
