// SPDX-License-Identifier: Apache-2.0
#include "python/frames.hpp"

namespace pvnet::python {
namespace {

Status wrong_rank(const BorrowedArray& a, int batch) {
  const std::string b = std::to_string(batch);
  return {Code::invalid_argument,
          std::string("[") + kFrameWhere + "] the array has the wrong shape: got " +
              a.shape_string() + " " + to_string(a.dtype) + ", expected uint8 [" + b +
              ", height, width, channels] or "
              "float32 [" +
              b +
              ", channels, height, width] (the first axis may be left out when "
              "batch is 1). Reshape the frame."};
}

Status not_packed(const BorrowedArray& a) {
  return array_error(Code::invalid_argument, kFrameWhere,
                     "the pixels of a uint8 frame on a device are not packed",
                     "shape " + a.shape_string() + " with gaps or another order of axes",
                     "[height, width, channels] with width and channels side by side",
                     "Make a copy there, e.g. tensor.contiguous()");
}

const uint8_t* pack(const uint8_t* src, const int64_t* dims, const int64_t* strides,
                    std::vector<std::vector<uint8_t>>& copies) {
  auto& copy = copies.emplace_back(static_cast<size_t>(dims[0] * dims[1] * dims[2]));
  uint8_t* to = copy.data();
  for (int64_t y = 0; y < dims[0]; ++y) {
    for (int64_t x = 0; x < dims[1]; ++x) {
      for (int64_t c = 0; c < dims[2]; ++c) {
        *to++ = src[y * strides[0] + x * strides[1] + c * strides[2]];
      }
    }
  }
  return copy.data();
}

}  // namespace

Status add_views(Frames& frames, int batch) {
  const BorrowedArray& a = frames.arrays.back();
  if (a.dtype != DType::u8 && a.dtype != DType::f32) {
    return {Code::invalid_argument,
            std::string("[") + kFrameWhere + "] the array has the wrong dtype: got " +
                to_string(a.dtype) + ", expected uint8 or float32. Convert the frame."};
  }
  const bool batched = a.rank == 4;
  if (!(batched && a.shape[0] == batch) && !(a.rank == 3 && batch == 1)) {
    return wrong_rank(a, batch);
  }
  const int64_t* dims = a.shape + (batched ? 1 : 0);
  const int64_t* strides = a.strides + (batched ? 1 : 0);
  for (int64_t i = 0; i < a.rank; ++i) {
    if (a.shape[i] < 1 || a.shape[i] > INT32_MAX) return wrong_rank(a, batch);
  }
  for (int r = 0; r < batch; ++r) {
    FrameView f;
    const int64_t row = batched ? r * a.strides[0] : 0;
    if (a.dtype == DType::u8) {
      f.type = FrameType::u8_hwc;
      f.h = static_cast<int>(dims[0]), f.w = static_cast<int>(dims[1]),
      f.c = static_cast<int>(dims[2]);
      const uint8_t* src = static_cast<const uint8_t*>(a.data) + row;
      // Rows that overlap are a broadcast (numpy.broadcast_to): read as such, into a copy.
      const int64_t row_bytes = int64_t{f.w} * f.c;
      const bool apart = f.h == 1 || strides[0] >= row_bytes || strides[0] <= -row_bytes;
      const bool packed = apart && (f.c == 1 || strides[2] == 1) && (f.w == 1 || strides[1] == f.c);
      if (!packed && a.on_device()) return not_packed(a);
      f.data = packed ? src : pack(src, dims, strides, frames.copies);
      f.strides[0] = packed ? strides[0] : dims[1] * dims[2];
      f.strides[1] = f.c, f.strides[2] = 1;
    } else {
      f.c = static_cast<int>(dims[0]), f.h = static_cast<int>(dims[1]),
      f.w = static_cast<int>(dims[2]);
      f.data = static_cast<const float*>(a.data) + row;
      for (int i = 0; i < 3; ++i) f.strides[i] = strides[i];
    }
    frames.views.push_back(f);
  }
  return {};
}

}  // namespace pvnet::python
