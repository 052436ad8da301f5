// SPDX-License-Identifier: Apache-2.0
// From error codes of the runtime to Status.
#pragma once

#include "backends/cuda/machine.hpp"
#include "graph/status.hpp"

namespace pvnet::cuda {

// Whether every later call of the process on that device fails, too.
bool is_sticky(ErrorCode code);

// `what`: what was tried, as in "launch of a kernel".
Status status_of(Machine& machine, ErrorCode code, const char* where, const char* what);

// What a Stream says once its device has failed.
Status device_failed(Machine& machine, ErrorCode code, const char* where);

}  // namespace pvnet::cuda

// Returns early where a call of `machine` fails.
#define PVNET_CUDA_TRY(machine, call, where, what)                                   \
  do {                                                                               \
    const ::pvnet::cuda::ErrorCode pvnet_cuda_code_ = (machine).call;                \
    if (pvnet_cuda_code_ != ::pvnet::cuda::kSuccess)                                 \
      return ::pvnet::cuda::status_of((machine), pvnet_cuda_code_, (where), (what)); \
  } while (false)
