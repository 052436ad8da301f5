// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/frame_copy.hpp"

#include <cstring>

namespace pvnet::cuda {
namespace {

pv_frame copy_u8(const FrameView& f, std::byte* to, const std::byte* there) {
  const int64_t line = int64_t{f.w} * f.c;
  const auto* from = static_cast<const std::byte*>(f.data);
  for (int y = 0; y < f.h; ++y) {
    std::memcpy(to + y * line, from + y * f.strides[0], static_cast<size_t>(line));
  }
  return {there, {line, f.c, 1}, 1, 0};
}

bool is_channels_last(const FrameView& f) {
  return f.strides[0] == 1 && f.strides[2] == f.c && f.strides[1] == int64_t{f.w} * f.c;
}

pv_frame copy_f32(const FrameView& f, std::byte* to, const std::byte* there) {
  const auto* from = static_cast<const float*>(f.data);
  auto* dst = reinterpret_cast<float*>(to);
  if (is_channels_last(f)) {
    std::memcpy(dst, from, static_cast<size_t>(frame_bytes(f)));
    return {there, {f.strides[0], f.strides[1], f.strides[2]}, 0, 0};
  }
  for (int c = 0; c < f.c; ++c) {
    for (int y = 0; y < f.h; ++y, dst += f.w) {
      const float* line = from + c * f.strides[0] + y * f.strides[1];
      if (f.strides[2] == 1) {
        std::memcpy(dst, line, static_cast<size_t>(f.w) * sizeof(float));
      } else {
        for (int x = 0; x < f.w; ++x) dst[x] = line[x * f.strides[2]];
      }
    }
  }
  return {there, {int64_t{f.h} * f.w, f.w, 1}, 0, 0};
}

}  // namespace

int64_t frame_bytes(const FrameView& f) {
  const int64_t elements = int64_t{f.c} * f.h * f.w;
  return f.type == FrameType::u8_hwc ? elements : elements * static_cast<int64_t>(sizeof(float));
}

pv_frame copy_frame(const FrameView& f, std::byte* to, const std::byte* there) {
  return f.type == FrameType::u8_hwc ? copy_u8(f, to, there) : copy_f32(f, to, there);
}

}  // namespace pvnet::cuda
