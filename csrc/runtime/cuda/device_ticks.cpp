// SPDX-License-Identifier: Apache-2.0
// Frames and results of a caller who is on the device, too.
#include <cstring>
#include <string>

#include "backends/cuda/error.hpp"
#include "runtime/cuda/engine.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kTick = "Stream.tick";
constexpr const char* kResults = "Stream.results";

CudaStream handle_of(StreamNumber number) {
  return reinterpret_cast<CudaStream>(number == 0 ? kLegacyStream : number);
}
StreamNumber number_of(CudaStream stream) { return reinterpret_cast<StreamNumber>(stream); }
bool is_default(CudaStream stream) { return number_of(stream) <= kThreadStream; }

pv_frame device_frame(const FrameView& f) {
  const bool is_u8 = f.type == FrameType::u8_hwc;
  // The host cannot look for NaN without waiting: the first kernel of the tick does.
  return {f.data, {f.strides[0], f.strides[1], f.strides[2]}, is_u8 ? 1 : 0, is_u8 ? 0 : 1};
}

}  // namespace

int CudaEngine::device() const { return device_.number; }
StreamNumber CudaEngine::own_stream() const { return number_of(compute_.get()); }

// The default cuda_streams of a process order what runs in others, and a thread's own one depends
// on the thread. So their ticks run on the Stream's own, between two events.
Status CudaEngine::enqueue(const TickOrder& order, const FrameView* frames, const Rows& rows) {
  const CudaStream asked = order.stream ? handle_of(*order.stream) : compute_.get();
  const CudaStream stream = is_default(asked) ? compute_.get() : asked;
  for (size_t i = 0; i < device_frames_.size(); ++i) {
    const bool runs = rows.runs(static_cast<int>(i) % plan_->options.batch);
    device_frames_[i] = runs ? device_frame(frames[i]) : pv_frame{};
  }
  const auto order_behind = [&](CudaStream first) -> Status {
    if (first == stream) return {};
    PVNET_CUDA_TRY(machine(), record(arrived_.get(), first), kTick, "an event of the caller");
    PVNET_CUDA_TRY(machine(), wait(stream, arrived_.get()), kTick, "an event of the caller");
    return {};
  };
  PVNET_TRY(guarded(kTick, [&]() -> Status {
    PVNET_TRY(order_behind(asked));
    for (const StreamNumber first : order.after) PVNET_TRY(order_behind(handle_of(first)));
    return {};
  }));
  PVNET_TRY(enqueue(stream, device_frames_.data(), rows));
  shown_ = asked;
  if (asked == stream) return {};
  const Status status = guarded(kTick, [&]() -> Status {
    PVNET_CUDA_TRY(machine(), record(arrived_.get(), stream), kTick, "an event of the caller");
    PVNET_CUDA_TRY(machine(), wait(asked, arrived_.get()), kTick, "an event of the caller");
    return {};
  });
  if (!status.ok()) failure_ = status;  // the tick is made, but nobody may read its results
  return status;
}

DeviceResults CudaEngine::last_results() const {
  return {captured_ ? DeviceResults::kCaptured : turn_ - 1, number_of(shown_)};
}

Result<int> CudaEngine::number_of_results(const DeviceResults& results) const {
  if (results.turn == DeviceResults::kCaptured && captured_) return kCapturedRequest;
  if (results.turn >= 0 && results.turn < turn_ && results.turn >= turn_ - kTurns) {
    return static_cast<int>(results.turn % kTurns);
  }
  if (results.turn == DeviceResults::kCaptured) {
    return Status(Code::state,
                  "[Stream.results] there are no results on the device: got no tick, expected one. "
                  "Make a tick of frames on the device first.");
  }
  return Status(Code::state,
                "[Stream.results] the results of this tick are overwritten: got results of " +
                    std::to_string(turn_ - 1 - results.turn) +
                    " ticks ago, expected those of the last two ticks. Copy what you need later.");
}

Result<const float*> CudaEngine::data(const DeviceResults& results, int index) const {
  auto number = number_of_results(results);
  if (!number.ok()) return number.status();
  const auto* all =
      reinterpret_cast<const float*>(memory_.result(number.value()) + sizeof(pv_result));
  return all + resident_->host().outputs[static_cast<size_t>(index)].offset;
}

int64_t CudaEngine::row_floats() const { return memory_.program().row_floats; }

// Replays of a captured tick are the caller's to order.
Status CudaEngine::make_wait(StreamNumber stream, const DeviceResults& results) const {
  return guarded(kResults, [&]() -> Status {
    auto number = number_of_results(results);
    if (!number.ok()) return number.status();
    const CudaStream to = handle_of(stream);
    if (number.value() == kCapturedRequest || to == handle_of(results.stream)) return {};
    PVNET_CUDA_TRY(machine(), wait(to, turns_[number.value()].done.get()), kResults, "an event");
    return {};
  });
}

Status CudaEngine::read(const DeviceResults& results, int index, int row, float* dst) const {
  return guarded(kResults, [&]() -> Status {
    auto number = number_of_results(results);
    if (!number.ok()) return number.status();
    return read_number(number.value(), index, row, dst);
  });
}

Status CudaEngine::not_finite(const DeviceResults& results, int* frame) const {
  return guarded(kResults, [&]() -> Status {
    auto number = number_of_results(results);
    if (!number.ok()) return number.status();
    PVNET_TRY(fetch(number.value()));
    const auto* head = reinterpret_cast<const pv_result*>(memory_.pinned_result(number.value()));
    *frame = head->not_finite;
    return {};
  });
}

}  // namespace pvnet::cuda
