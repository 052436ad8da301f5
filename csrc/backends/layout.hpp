// SPDX-License-Identifier: Apache-2.0
// How a backend wants its maps to lie, and how it cuts its work. compile() knows a machine by this
// and by how weights are packed (kernel_api.hpp).
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"
#include "graph/size.hpp"

namespace pvnet {

struct ConvShape;
struct HostKernels;

// Of the elements of a map, and how convolutions multiply them. Sums are f32 everywhere.
enum class Dtype : uint8_t {
  f32,
  tf32,  // f32, rounded where tensor cores multiply
  f16,
  bf16,
  int8,  // of a map or of a plan; of a plan some maps are f32 or uint8
  uint8
};
// As what the elements of a map stand for.
enum class Domain : uint8_t {
  spatial,  // its pixels
  twin,     // its pixels, a second time: tests ask for it, to prove what forms promise
};

// A firing of a node may be there in several forms, each in a Value of its own.
struct Form {
  Dtype dtype = Dtype::f32;
  Domain domain = Domain::spatial;
  auto operator<=>(const Form&) const = default;
};

// What a map stores in plans of dtype int8; scale: of 8 bits, what a step stands for.
struct Stored {
  Dtype dtype = Dtype::f32;
  float scale = 1.0f;
  bool operator==(const Stored&) const = default;
};

constexpr bool is_8_bit(Dtype d) { return d == Dtype::int8 || d == Dtype::uint8; }
constexpr int64_t element_bytes(Dtype d) {
  return is_8_bit(d) ? 1 : d == Dtype::f16 || d == Dtype::bf16 ? 2 : 4;
}
constexpr std::string_view to_string(Dtype d) {
  constexpr std::string_view kNames[] = {"f32", "tf32", "f16", "bf16", "int8", "uint8"};
  return d <= Dtype::uint8 ? kNames[static_cast<int>(d)] : "unknown";
}
constexpr std::string_view to_string(Domain d) {
  return d == Domain::spatial ? "spatial" : d == Domain::twin ? "twin" : "unknown";
}

constexpr int kNarrowChannels = 4;

struct Layout {
  bool halo = true;  // a map carries the zeros around it that its readers' windows reach
  // Maps of at least this many channels get whole granules per pixel, so that kernels store without
  // masks; narrower ones (an RGB frame) stay dense, or the first layer would read many times the
  // memory.
  int wide_channels = 1;
  int64_t pixel_granule = 1;           // bytes
  int64_t pixel_elements_granule = 0;  // where not 0: elements, whatever they take
  // Pixels a multiple of so many bytes apart get a granule more: else all pixels of a register tile
  // would want the same few lines of the first cache. 0: none do.
  int64_t pixel_alias = 0;
  int64_t slot_granule = 1;       // bytes, also of packed weights
  std::span<const Dtype> dtypes;  // the one without rounding first
  // Whether a convolution reads maps of at most kNarrowChannels channels with so many elements a
  // pixel. Maps that nobody else reads lie that way. nullptr: there are none.
  bool (*reads_narrow)(const ConvShape& conv, Dtype dtype) = nullptr;

  // Into how many tiles the op is cut, whose shape of output is `out`; conv: of conv3d and linear;
  // of group_norm its groups.
  // kernels: those of the backend's entry.
  int (*tiles)(const HostKernels* kernels, Op op, const ConvShape& conv,
               const Shape& out) = nullptr;
  // Of one firing of node n, by which lanes are levelled: only ratios matter. kernels, conv: as of
  // tiles.
  double (*cost)(const HostKernels* kernels, const std::vector<Node>& nodes, int n,
                 const ConvShape& conv) = nullptr;
  // The most lanes that are of use, whatever the network.
  int (*most_lanes)() = nullptr;

  // Whether a convolution can add a map to its result, in front of the activation.
  bool adds_residuals = false;

  // In which form the reader wants what the source has computed; nullptr: as it was computed. An
  // input is there as it came and in no other form: every stage may read it in the tick it comes.
  Form (*form_read)(const Node& reader, const Node& source) = nullptr;

  // From pixel to pixel; a kernel may store as many elements.
  Size pixel_elements(int64_t channels, Dtype dtype) const {
    if (channels < wide_channels) return Size(channels);
    const int64_t granule =
        pixel_elements_granule > 0 ? pixel_elements_granule : pixel_granule / element_bytes(dtype);
    const Size whole = Size(channels).rounded_up(granule);
    const int64_t alias = pixel_alias / element_bytes(dtype);
    const bool apart = alias == 0 || !whole.at_most(INT64_MAX - 1) || whole.value() % alias != 0;
    return apart ? whole : whole + granule;
  }
};

}  // namespace pvnet
