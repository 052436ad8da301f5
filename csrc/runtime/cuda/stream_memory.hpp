// SPDX-License-Identifier: Apache-2.0
// The memory of one Stream: one allocation on the device, one of pinned host memory beside it.
// Requests (frames and who is frozen) and results go through the pinned one, two of each, so that a
// tick can run while the next request comes and the last results go.
#pragma once

#include <memory>

#include "backends/cuda/arena.hpp"
#include "runtime/cuda/resident.hpp"
#include "runtime/engine.hpp"

namespace pvnet::cuda {

constexpr int kTurns = 2;  // requests and results of host ticks, by turn

constexpr int kRequests = 3;

// Where the parts of a request lie, from its start; frames follow, as many as there are.
struct RequestLayout {
  int64_t frozen = 0, frames = 0;  // offsets; the table of frames is at 0
  int64_t table_bytes = 0, bytes = 0;
};

class StreamMemory {
 public:
  StreamMemory(std::shared_ptr<const Resident> resident, const Device& device);
  Status allocate(CudaStream stream);
  // As after allocate().
  Status clear(CudaStream stream);

  // The resident's program with this Stream's memory.
  const pv_program& program() const { return program_; }
  int64_t element_bytes() const;
  std::byte* row(int row) const;  // state, then scratch
  int64_t row_bytes() const;
  int64_t* ticks(int row) const { return device_.as<int64_t>(ticks_) + row; }
  float* partials() const { return device_.as<float>(partials_); }
  int64_t partial_bytes() const;

  std::byte* request(int number) const { return device_.at(requests_[number]); }
  std::byte* result(int number) const { return device_.at(results_[number]); }
  const std::byte* pinned_result(int number) const { return pinned_.at(pinned_results_[number]); }
  std::byte* pinned_result(int number) { return pinned_.at(pinned_results_[number]); }

  // Writes a request into pinned memory; what begins at pinned_request() is to go to request().
  // Returns how many bytes. frames: [input][row], checked.
  int64_t write_request(int number, const FrameView* frames, const Rows& rows);
  // The same of frames that lie on the device.
  int64_t write_request(int number, const pv_frame* frames, const Rows& rows);
  const std::byte* pinned_request(int number) const { return pinned_.at(pinned_requests_[number]); }

 private:
  void write_frozen(int number, const Rows& rows);

  std::shared_ptr<const Resident> resident_;
  Machine& machine_;
  Arena device_, pinned_;
  RequestLayout layout_;
  size_t memory_, slots_, ticks_, turn_, partials_, counters_;
  size_t requests_[kRequests], results_[kRequests];
  size_t pinned_requests_[kRequests], pinned_results_[kRequests];
  pv_program program_;
};

}  // namespace pvnet::cuda
