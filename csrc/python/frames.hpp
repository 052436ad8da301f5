// SPDX-License-Identifier: Apache-2.0
// The frames of one tick as Python hands them over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "python/array.hpp"
#include "runtime/frame.hpp"

namespace pvnet::python {

constexpr const char* kFrameWhere = "Stream.tick: frame";

// The frames of one tick: views of the caller's arrays, and copies where those are not packed.
struct Frames {
  std::vector<BorrowedArray> arrays;
  std::vector<std::vector<uint8_t>> copies;
  std::vector<FrameView> views;  // [input * batch + row]
};

// Views of every row of the array that was borrowed last. On a device there are no copies: uint8
// pixels must be packed.
Status add_views(Frames& frames, int batch);

}  // namespace pvnet::python
