// SPDX-License-Identifier: Apache-2.0
// Frames from wherever a caller has them to dense memory.
#pragma once

#include <cstddef>

#include "kernels/program.h"
#include "runtime/frame.hpp"

namespace pvnet::cuda {

int64_t frame_bytes(const FrameView& frame);
// Writes frame_bytes() to `to`; returns the frame as it will lie at `there`. Its numbers are
// checked already.
pv_frame copy_frame(const FrameView& frame, std::byte* to, const std::byte* there);

}  // namespace pvnet::cuda
