// SPDX-License-Identifier: Apache-2.0
#include "graph/shape_of_maps.hpp"

#include <algorithm>

#include "graph/errors.hpp"
#include "graph/limits.hpp"

namespace pvnet {

namespace {

Status bad(const Node& n, std::string_view what, std::string_view got, std::string_view expected,
           std::string_view cure) {
  return failed(Code::graph, std::string("Graph.") + to_string(n.op),
                "node " + quoted(n.name) + " " + std::string(what), got, expected, cure);
}

std::string named_shape(const Node& n) { return quoted(n.name) + " " + text_of(n.shape); }

// A side of a padded map, or a crop.
Status padded_side(const Node& n, const Node& in, size_t i, int& out) {
  const Attrs& a = n.attrs;
  const char* side = i == 0 ? "height" : "width";
  const int64_t size = i == 0 ? in.shape.h : in.shape.w;
  const int64_t result = size + a.padding[i] + a.padding_end[i];
  const std::string got = std::to_string(a.padding[i]) + " and " +
                          std::to_string(a.padding_end[i]) + " around " + named_shape(in);
  const int low = std::min(a.padding[i], a.padding_end[i]);
  const int high = std::max(a.padding[i], a.padding_end[i]);
  if (low < 0 && a.pad_mode != PadMode::zeros) {
    return bad(n, std::string("crops by a mode other than zeros in ") + side, got,
               "padding of at least 0", "Crop in a pad node of its own, with pad_mode=\"zeros\".");
  }
  if (a.pad_mode == PadMode::reflect && high >= size) {
    return bad(n, std::string("reflects more than there is in ") + side, got,
               "at most " + std::to_string(size - 1), "Pad less, or use pad_mode=\"replicate\".");
  }
  if (result < 1 || -int64_t{low} >= size || result > kMaxSide) {
    return bad(n, std::string("pads or crops to a wrong ") + side, got,
               "a result of 1 to " + std::to_string(kMaxSide) + " with some of the map in it",
               "Change padding and padding_end.");
  }
  out = static_cast<int>(result);
  return {};
}

Status pad(const Node& in, Node& n) {
  if (n.attrs.pad_mode != PadMode::zeros && n.attrs.value != 0) {
    return bad(n, "has a value that its mode does not use", std::to_string(n.attrs.value), "0",
               "Remove value, or use pad_mode=\"zeros\".");
  }
  n.shape.c = in.shape.c;
  PVNET_TRY(padded_side(n, in, 0, n.shape.h));
  return padded_side(n, in, 1, n.shape.w);
}

Status channel_select(const Node& in, Node& n) {
  const std::vector<int>& index = n.attrs.index;
  for (const int i : index) {
    if (i < in.shape.c) continue;
    return bad(n, "selects a channel that its input lacks",
               std::to_string(i) + " of " + named_shape(in),
               "channels from 0 to " + std::to_string(in.shape.c - 1), "Correct index.");
  }
  n.shape = {static_cast<int>(index.size()), in.shape.h, in.shape.w};
  return {};
}

Status depth_to_space(const Node& in, Node& n) {
  const int b = n.attrs.block;
  const Shape& s = in.shape;
  const bool fits = int64_t{s.h} * b <= kMaxSide && int64_t{s.w} * b <= kMaxSide;
  if (s.c % (b * b) != 0 || !fits) {
    return bad(n, "cannot turn channels into pixels",
               "block=" + std::to_string(b) + " with input " + named_shape(in),
               "a multiple of " + std::to_string(b * b) + " channels, and sides of at most " +
                   std::to_string(kMaxSide),
               "Change block or the number of channels.");
  }
  n.shape = {s.c / (b * b), s.h * b, s.w * b};
  return {};
}

Status space_to_depth(const Node& in, Node& n) {
  const int b = n.attrs.block;
  const Shape& s = in.shape;
  const int64_t channels = int64_t{s.c} * b * b;
  if (s.h % b != 0 || s.w % b != 0 || channels > kMaxChannels) {
    return bad(n, "cannot turn pixels into channels",
               "block=" + std::to_string(b) + " with input " + named_shape(in),
               "height and width that block divides, and at most " + std::to_string(kMaxChannels) +
                   " channels",
               "Change block, or pad the map first.");
  }
  n.shape = {static_cast<int>(channels), s.h / b, s.w / b};
  return {};
}

}  // namespace

Status rearranged_shape(const Node& in, Node& n) {
  switch (n.op) {
    case Op::pad:
      return pad(in, n);
    case Op::channel_select:
      return channel_select(in, n);
    case Op::depth_to_space:
      return depth_to_space(in, n);
    default:
      return space_to_depth(in, n);
  }
}

Status normed_shape(const Node& in, Node& n) {
  n.shape = in.shape;
  n.macs = int64_t{n.shape.c} * n.shape.h * n.shape.w;
  if (n.shape.c % n.attrs.groups == 0) return {};
  return bad(n, "has groups that do not divide its channels",
             "groups=" + std::to_string(n.attrs.groups) + " with input " + named_shape(in),
             "a divisor of " + std::to_string(n.shape.c), "Change groups.");
}

}  // namespace pvnet
