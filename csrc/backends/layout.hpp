// SPDX-License-Identifier: Apache-2.0
// How a backend wants its maps to lie, and how it cuts its work. compile() knows a machine by this
// and by how weights are packed (kernel_api.hpp).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "graph/graph.hpp"
#include "graph/size.hpp"

namespace pvnet {

struct ConvShape;
struct HostKernels;

// Of the elements of a map.
enum class Dtype : uint8_t { f32, tf32, f16, bf16 };
// As what the elements of a map stand for.
enum class Domain : uint8_t { spatial };  // its pixels

constexpr int64_t element_bytes(Dtype) { return 4; }
constexpr std::string_view to_string(Dtype d) { return d == Dtype::f32 ? "f32" : "unknown"; }

struct Layout {
  bool halo = true;  // a map carries the zeros around it that its readers' windows reach
  // Maps of at least this many channels get whole granules per pixel, so that kernels store without
  // masks; narrower ones (an RGB frame) stay dense, or the first layer would read many times the
  // memory.
  int wide_channels = 1;
  int64_t pixel_granule = 1;      // elements
  int64_t slot_granule = 1;       // elements, also of packed weights
  std::span<const Dtype> dtypes;  // best first

  // Into how many tiles the op is cut, whose shape of output is `out`; conv: of conv3d and linear.
  // kernels: those of the backend's entry.
  int (*tiles)(const HostKernels* kernels, Op op, const ConvShape& conv,
               const Shape& out) = nullptr;
  // Of one firing of the node, in the unit of the cost model.
  double (*cost)(const Node& node) = nullptr;
  // The most lanes that are of use, whatever the network.
  int (*most_lanes)() = nullptr;

  // From pixel to pixel; a kernel may store as many elements.
  Size pixel_elements(int64_t channels) const {
    return channels < wide_channels ? Size(channels) : Size(channels).rounded_up(pixel_granule);
  }
};

}  // namespace pvnet
