// SPDX-License-Identifier: Apache-2.0
// Every field of the tables and launch lists of a device, as plan_fields.hpp has those of a Plan.
#pragma once

#include <cstring>
#include <type_traits>

#include "plan/device/program.hpp"

#include "plan_fields.hpp"

namespace fields {

PVNET_FIELDS(pvnet_device_clock, (period, origin), "period", "origin");
PVNET_FIELDS(pvnet_device_hop, (clock, delay), "clock", "delay");
PVNET_FIELDS(pvnet_device_value,
             (offset, slot_stride, row_stride, pixel_stride, clock, c, h, w, halo_h, halo_w, depth,
              persistent, reserved),
             "offset", "slot_stride", "row_stride", "pixel_stride", "clock", "c", "h", "w",
             "halo_h", "halo_w", "depth", "persistent", "reserved");
PVNET_FIELDS(pvnet_device_segment, (value, channels, n_hops, reserved, hops), "value", "channels",
             "n_hops", "reserved", "hops");
PVNET_FIELDS(pv_read, (segment, taps_back), "segment", "taps_back");
PVNET_FIELDS(pv_source, (read, value, c0, c_step), "read", "value", "c0", "c_step");
PVNET_FIELDS(pv_piece, (c0, channels, source0, n_sources), "c0", "channels", "source0",
             "n_sources");
PVNET_FIELDS(pv_patch, (read, value, c0, channels), "read", "value", "c0", "channels");
PVNET_FIELDS(pv_op,
             (kind, plain, variant, act, act_a, act_b, in_c, in_h, in_w, out_c, out_h, out_w,
              out_c0, kt, kh, kw, sh, sw, ph, pw, dh, dw, groups, write, out_value, piece0,
              n_pieces, weights, floats, tile_h, tile_w, tile_c, patch0, n_patches, patch_h,
              patch_w, patch_w_magic, pixel_bytes, patch_bytes, patch_buffers, steps_per_row,
              steps_per_patch, splits, partial0, counter0),
             "kind", "plain", "variant", "act", "act_a", "act_b", "in_c", "in_h", "in_w", "out_c",
             "out_h", "out_w", "out_c0", "kt", "kh", "kw", "sh", "sw", "ph", "pw", "dh", "dw",
             "groups", "write", "out_value", "piece0", "n_pieces", "weights", "floats", "tile_h",
             "tile_w", "tile_c", "patch0", "n_patches", "patch_h", "patch_w", "patch_w_magic",
             "pixel_bytes", "patch_bytes", "patch_buffers", "steps_per_row", "steps_per_patch",
             "splits", "partial0", "counter0");
PVNET_FIELDS(pv_tile, (op, row, y, x, c_block, split), "op", "row", "y", "x", "c_block", "split");
PVNET_FIELDS(pv_input, (value, segment, floats), "value", "segment", "floats");
PVNET_FIELDS(pv_output, (piece0, n_pieces, c, h, w, reserved, offset), "piece0", "n_pieces", "c",
             "h", "w", "reserved", "offset");
PVNET_FIELDS(pvnet::device::Program,
             (dtype, values, segments, reads, sources, pieces, patches, ops, plan_op, inputs,
              outputs, floats, row_elements, state_elements, row_floats, partial_floats, counters,
              weight_bytes),
             "dtype", "values", "segments", "reads", "sources", "pieces", "patches", "ops",
             "plan_op", "inputs", "outputs", "floats", "row_elements", "state_elements",
             "row_floats", "partial_floats", "counters", "weight_bytes");
PVNET_FIELDS(pvnet::device::Launch,
             (first_tile, tiles, after, stage, level, rare, shared_bytes, cost), "first_tile",
             "tiles", "after", "stage", "level", "rare", "shared_bytes", "cost");
PVNET_FIELDS(pvnet::device::LaunchList, (gather, phase, tiles, launches), "gather", "phase",
             "tiles", "launches");

// Whether two structures say the same, bit by bit.
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b);
template <class T>
bool same(const T& a, const T& b) {
  if constexpr (Structure<T>) {
    auto x = Fields<T>::tie(const_cast<T&>(a));
    auto y = Fields<T>::tie(const_cast<T&>(b));
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return (same(std::get<I>(x), std::get<I>(y)) && ...);
    }(std::make_index_sequence<std::tuple_size_v<decltype(x)>>{});
  } else {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
  }
}
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return same(x, y); });
}

}  // namespace fields
