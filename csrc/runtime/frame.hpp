// SPDX-License-Identifier: Apache-2.0
// Frames as a caller hands them over, and what is refused of them before anything changes.
#pragma once

#include <cstdint>

#include "graph/status.hpp"
#include "plan/plan.hpp"

namespace pvnet {

enum class FrameType : uint8_t { u8_hwc, f32_chw };

// A frame of one batch row; borrowed for the length of the call.
struct FrameView {
  FrameType type = FrameType::f32_chw;
  const void* data = nullptr;
  int64_t strides[3] = {
      0, 0, 0};  // u8_hwc: (h, w, c) in bytes, w and c packed; f32_chw: (c, h, w) in elements
  int h = 0, w = 0, c = 0;
};

// frames: [n_inputs * batch]; those of rows with mask[r] == 0 are not looked at. Pixels are not
// read: on a device it is seen there whether they are numbers.
Status check_frames(const Plan& plan, const FrameView* frames, const uint8_t* mask);

// Whether rows [lo, hi) of a checked frame in memory of the host hold finite values only.
bool is_finite(const FrameView& frame, int lo, int hi);

// Refuses the first of the checked frames, all in memory of the host, that is not finite.
Status check_finite(const Plan& plan, const FrameView* frames, const uint8_t* mask);

}  // namespace pvnet
