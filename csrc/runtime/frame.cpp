// SPDX-License-Identifier: Apache-2.0
#include "runtime/frame.hpp"

#include <string>

#include "runtime/finite.hpp"

namespace pvnet {
namespace {

std::string shape_text(int c, int h, int w) {
  return "[" + std::to_string(c) + ", " + std::to_string(h) + ", " + std::to_string(w) + "]";
}

// Calls check(frame, value of its input, row) for every row that runs, up to the first error.
template <class Check>
Status for_each_frame(const Plan& plan, const FrameView* frames, const uint8_t* mask, Check check) {
  const int batch = plan.options.batch;
  for (size_t i = 0; i < plan.input_values.size(); ++i) {
    for (int r = 0; r < batch; ++r) {
      if (mask != nullptr && mask[r] == 0) continue;
      PVNET_TRY(check(frames[i * batch + r], plan.values[plan.input_values[i]], r));
    }
  }
  return {};
}

Status check_frame(const FrameView& f, const Value& v, const Node& node, int row) {
  if (f.data == nullptr) {
    return {Code::invalid_argument, "[Stream.tick] a frame is missing: got null for input '" +
                                        node.name + "' row " + std::to_string(row) +
                                        ", expected pixels. Pass a frame for every row that "
                                        "runs, or freeze the row."};
  }
  if (f.h != v.shape.h || f.w != v.shape.w || f.c != v.shape.c) {
    return {Code::invalid_argument,
            "[Stream.tick] the frame has the wrong size for input '" + node.name + "': got " +
                shape_text(f.c, f.h, f.w) + ", expected " +
                shape_text(v.shape.c, v.shape.h, v.shape.w) +
                " (channels, height, width). Resize the frame, or compile for its size."};
  }
  if (f.type == FrameType::u8_hwc && (f.strides[2] != 1 || f.strides[1] != f.c)) {
    return {Code::invalid_argument,
            "[Stream.tick] the pixels of a uint8 frame are not packed: got strides " +
                shape_text(static_cast<int>(f.strides[0]), static_cast<int>(f.strides[1]),
                           static_cast<int>(f.strides[2])) +
                " bytes, expected [any, " + std::to_string(f.c) + ", 1]. Make a contiguous copy."};
  }
  const int64_t row_bytes = int64_t{f.w} * f.c;
  if (f.type == FrameType::u8_hwc && f.h > 1 && f.strides[0] > -row_bytes &&
      f.strides[0] < row_bytes) {
    return {Code::invalid_argument, "[Stream.tick] the rows of a uint8 frame overlap in input '" +
                                        node.name + "': got a pitch of " +
                                        std::to_string(f.strides[0]) +
                                        " bytes, expected at least " + std::to_string(row_bytes) +
                                        ". Pass the bytes from one row of the image to the next."};
  }
  return {};
}

}  // namespace

Status check_frames(const Plan& plan, const FrameView* frames, const uint8_t* mask) {
  return for_each_frame(plan, frames, mask, [&](const FrameView& f, const Value& v, int row) {
    return check_frame(f, v, plan.graph.nodes()[v.node], row);
  });
}

bool is_finite(const FrameView& frame, int lo, int hi) {
  if (frame.type != FrameType::f32_chw) return true;
  const int64_t* const strides = frame.strides;
  // Channels last: a row is one run.
  const bool packed = strides[0] == 1 && strides[2] == frame.c;
  for (int y = lo; y < hi; ++y) {
    const float* const row = static_cast<const float*>(frame.data) + y * strides[1];
    if (packed) {
      if (any_not_finite(row, int64_t{frame.w} * frame.c)) return false;
      continue;
    }
    for (int c = 0; c < frame.c; ++c) {
      if (any_not_finite(row + c * strides[0], frame.w, strides[2])) return false;
    }
  }
  return true;
}

Status check_finite(const Plan& plan, const FrameView* frames, const uint8_t* mask) {
  return for_each_frame(plan, frames, mask, [&](const FrameView& f, const Value& v, int r) {
    if (is_finite(f, 0, f.h)) return Status{};
    return Status{Code::invalid_argument,
                  "[Stream.tick] the frame holds values that are not numbers: got NaN or Inf in "
                  "input '" +
                      plan.graph.nodes()[v.node].name + "' row " + std::to_string(r) +
                      ", expected finite values. Drop or repair the frame; the stream is "
                      "unchanged."};
  });
}

}  // namespace pvnet
