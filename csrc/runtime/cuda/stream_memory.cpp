// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/stream_memory.hpp"

#include <cstring>
#include <utility>

#include "backends/cuda/error.hpp"
#include "runtime/cuda/frame_copy.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kWhere = "Stream.create";
constexpr int64_t kAlignment = 16;  // of a frame in a request

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

RequestLayout layout_of(const Plan& plan) {
  const int64_t rows = plan.options.batch;
  const auto inputs = static_cast<int64_t>(plan.input_values.size());
  RequestLayout layout;
  layout.frozen = aligned(inputs * rows * static_cast<int64_t>(sizeof(pv_frame)));
  layout.frames = layout.table_bytes = layout.frozen + aligned(rows);
  layout.bytes = layout.frames;
  for (const int v : plan.input_values) {
    const Shape& s = plan.values[static_cast<size_t>(v)].shape;
    layout.bytes += rows * aligned(int64_t{s.c} * s.h * s.w * static_cast<int64_t>(sizeof(float)));
  }
  return layout;
}

}  // namespace

StreamMemory::StreamMemory(std::shared_ptr<const Resident> resident, const Device& device)
    : resident_(std::move(resident)),
      machine_(*device.machine),
      device_(device, Memory::device),
      pinned_(device, Memory::pinned),
      layout_(layout_of(resident_->plan())),
      program_(resident_->program()) {
  const int64_t rows = program_.n_rows;
  constexpr auto kCount = static_cast<int64_t>(sizeof(int64_t));
  memory_ = device_.reserve(rows * row_bytes());
  slots_ = device_.reserve(rows * program_.n_reads * kCount);
  ticks_ = device_.reserve(rows * kCount);
  turn_ = device_.reserve(sizeof(pv_turn));
  partials_ = device_.reserve(partial_bytes());
  counters_ = device_.reserve(resident_->host().counters * static_cast<int64_t>(sizeof(int32_t)));
  for (int i = 0; i < kRequests; ++i) {
    const int64_t bytes = i == kCapturedRequest ? layout_.table_bytes : layout_.bytes;
    requests_[i] = device_.reserve(bytes);
    pinned_requests_[i] = pinned_.reserve(bytes);
    results_[i] = device_.reserve(program_.result_bytes);
    pinned_results_[i] = pinned_.reserve(program_.result_bytes);
  }
}

Status StreamMemory::allocate(CudaStream stream) {
  PVNET_TRY(pinned_.allocate(stream, kWhere));
  PVNET_TRY(device_.allocate(stream, kWhere));
  program_.memory = device_.at(memory_);
  program_.slots = device_.as<int64_t>(slots_);
  program_.ticks = device_.as<int64_t>(ticks_);
  program_.turn = device_.as<pv_turn>(turn_);
  program_.partials = device_.as<float>(partials_);
  program_.counters = device_.as<int32_t>(counters_);
  for (int i = 0; i < kRequests; ++i) {
    program_.requests[i] = {reinterpret_cast<const pv_frame*>(request(i)),
                            reinterpret_cast<const uint8_t*>(request(i) + layout_.frozen)};
    program_.results[i] = result(i);
  }
  return {};
}

Status StreamMemory::clear(CudaStream stream) {
  PVNET_CUDA_TRY(machine_, fill(device_.at(0), 0, static_cast<size_t>(device_.bytes()), stream),
                 kWhere, "clearing memory of the device");
  return {};
}

int64_t StreamMemory::element_bytes() const {
  const pv_dtype dtype = resident_->host().dtype;
  return dtype == PV_F16 || dtype == PV_BF16 ? 2 : 4;
}
int64_t StreamMemory::row_bytes() const { return program_.row_elements * element_bytes(); }
int64_t StreamMemory::partial_bytes() const {
  return resident_->host().partial_floats * static_cast<int64_t>(sizeof(float));
}
std::byte* StreamMemory::row(int row) const { return device_.at(memory_) + row * row_bytes(); }

void StreamMemory::write_frozen(int number, const Rows& rows) {
  auto* frozen = pinned_.as<uint8_t>(pinned_requests_[number]) + layout_.frozen;
  for (int r = 0; r < program_.n_rows; ++r) frozen[r] = rows.runs(r) ? 0 : 1;
}

int64_t StreamMemory::write_request(int number, const FrameView* frames, const Rows& rows) {
  write_frozen(number, rows);
  std::byte* const host = pinned_.at(pinned_requests_[number]);
  auto* const table = reinterpret_cast<pv_frame*>(host);
  int64_t at = layout_.frames;
  for (int i = 0; i < program_.n_inputs * program_.n_rows; ++i) {
    table[i] = {};
    if (!rows.runs(i % program_.n_rows)) continue;
    table[i] = copy_frame(frames[i], host + at, request(number) + at);
    at += aligned(frame_bytes(frames[i]));
  }
  return at;
}

int64_t StreamMemory::write_request(int number, const pv_frame* frames, const Rows& rows) {
  write_frozen(number, rows);
  const auto count = static_cast<size_t>(program_.n_inputs * program_.n_rows);
  std::memcpy(pinned_.at(pinned_requests_[number]), frames, count * sizeof(pv_frame));
  return layout_.table_bytes;
}

}  // namespace pvnet::cuda
