// SPDX-License-Identifier: Apache-2.0
// One operation in the tables of kernels/program.h, for tests. Values have random elements in the
// memory of two rows, and the same ones as f32 for the reference backend. Launches run on the shim.
// The second row is frozen. Whatever is not written must keep its bits.
#pragma once

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "kernel_maps.hpp"
#include "kernels/pv.cuh"
#include "shim/launch.hpp"

namespace pvnet::test {

constexpr int kRows = 2;
enum Kernel { kBegin = 0, kTiles = 1, kEnd = 2, kPlainTiles = 3, kRareTiles = 4 };

// What rounding a normal number to storage may change, relative to it.
template <pv_dtype D>
constexpr double kRounding = D == PV_F16    ? 1.0 / (1 << 11)
                             : D == PV_BF16 ? 1.0 / (1 << 8)
                                            : 0.0;

template <class T>
float rounded(float x) {
  T stored;
  pv::store(&stored, x);
  return pv::load(&stored);
}

// A value as the reference backend sees it: dense, no halo.
struct HostValue {
  int h = 0, w = 0, c = 0;
  std::vector<float> elements;
  MapGeometry geometry() const { return {h, w, c, 0, 0, c, int64_t{w} * c}; }
  float& at(int y, int x, int i) { return elements[(static_cast<size_t>(y) * w + x) * c + i]; }
};

struct TileSize {
  int h, w, c;
};

template <pv_dtype D>
class DeviceOp {
 public:
  using T = pv::storage<D>;

  pv_op op = {};
  std::vector<HostValue> host;
  std::vector<pv_source> sources;
  std::vector<pv_piece> pieces;
  std::vector<float> floats;
  std::vector<T> weights;          // plain convolutions
  std::vector<float> f32_weights;  // depthwise
  std::vector<pv_record> records;  // not empty: to be filled
  int specials = 0;                // 1: some elements are NaN, 2: infinite

  // A value of random elements; returns its number. Elements between pixels are NaN.
  int add_value(int h, int w, int c) {
    const int number = reserve_value(h, w, c);
    HostValue& v = host[number];
    for (float& x : v.elements) x = rounded<T>(element());
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        for (int i = 0; i < c; ++i) pv::store(place(number, y, x) + i, v.at(y, x, i));
      }
    }
    return number;
  }

  // The value that the operation writes: `spare` channels around its own.
  void set_out(int h, int w, int c, int before, int after) {
    op.out_h = h, op.out_w = w, op.out_c = c, op.out_c0 = before;
    op.out_value = reserve_value(h, w, before + c + after);
    op.write = add_read(op.out_value, true);
  }

  void add_source(int value, int c0, bool exists, int c_step = 1) {
    sources.push_back({add_read(value, exists), value, c0, c_step});
  }
  // The source's first channel; null: the firing does not exist.
  const float* source_data(int source) const {
    const pv_source& s = sources[source];
    return slots_[s.read] < 0 ? nullptr : host[s.value].elements.data() + s.c0;
  }

  // The operation's outputs [h][w][c], made in tiles of this size. Checks that nothing else
  // changed.
  std::vector<float> run(Kernel kernel, TileSize size) {
    std::vector<T> before = memory_;
    op.tile_h = size.h, op.tile_w = size.w, op.tile_c = size.c;
    std::vector<pv_tile> tiles = all_tiles();
    const int n_reads = static_cast<int>(slots_.size());
    std::vector<int64_t> slots = slots_;
    slots.insert(slots.end(), slots_.begin(), slots_.end());
    slots[n_reads + op.write] = -1;
    memory_.resize(kRows * before.size());
    std::copy(before.begin(), before.end(), memory_.begin() + before.size());
    pv_program p = {};
    p.values = values_.data(), p.sources = sources.data(), p.pieces = pieces.data();
    p.ops = &op, p.tiles = tiles.data(), p.floats = floats.data();
    p.weights = f32_weights.empty() ? static_cast<const void*>(weights.data()) : f32_weights.data();
    p.n_reads = n_reads, p.n_rows = kRows, p.row_elements = static_cast<int64_t>(before.size());
    p.memory = memory_.data(), p.slots = slots.data();
    launch(kernel, p, static_cast<int>(tiles.size()));
    std::vector<float> out = outputs();
    CHECK(same_elements(memory_.data() + before.size(), before));
    memory_.resize(before.size());
    wipe_outputs();
    CHECK(same_elements(memory_.data(), before));
    return out;
  }

 private:
  std::vector<pvnet_device_value> values_;
  std::vector<int64_t> slots_;
  std::vector<T> memory_;

  void launch(Kernel kernel, pv_program& p, int n_tiles) {
    int n_records = 0;
    p.records = records.empty() ? nullptr : records.data();
    p.n_records = &n_records, p.max_records = static_cast<int>(records.size());
    const bool f32 = !f32_weights.empty();
    // All that a kernel may touch.
    const shim::Range of_memory(memory_.data(), memory_.size() * sizeof(T));
    const shim::Range of_weights(
        p.weights, f32 ? f32_weights.size() * sizeof(float) : weights.size() * sizeof(T));
    const shim::Range of_floats(floats.data(), floats.size() * sizeof(float));
    const shim::Range of_count(&n_records, sizeof(n_records));
    const bool rare = kernel == kTiles && pv_is_rare(&op) != 0;
    pv_shim_launch(rare ? kRareTiles : kernel, D, p, {0, -1, 0, -1}, n_tiles, 0);
  }

  static T canary() {
    T stored;
    pv::store(&stored, kNan);
    return stored;
  }
  static bool same_elements(const T* a, const std::vector<T>& b) {
    return std::memcmp(a, b.data(), b.size() * sizeof(T)) == 0;
  }
  float element() const {
    if (specials == 0 || pick(0, 40) != 0) return value();
    const float infinite = std::numeric_limits<float>::infinity();
    return specials == 1 ? kNan : pick(0, 1) == 0 ? infinite : -infinite;
  }
  T* place(int v, int y, int x) {
    const pvnet_device_value& d = values_[v];
    return memory_.data() + d.offset + y * d.row_stride + x * d.pixel_stride;
  }

  int reserve_value(int h, int w, int c) {
    const int granule = 16 / static_cast<int>(sizeof(T));
    pvnet_device_value d = {};
    d.c = c, d.h = h, d.w = w, d.depth = 1;
    d.pixel_stride = c <= 4 && pick(0, 1) == 0 ? 4 : (c + granule - 1) / granule * granule;
    d.row_stride = d.pixel_stride * w;
    d.offset = static_cast<int64_t>(memory_.size());
    d.slot_stride = (d.row_stride * h + 63) / 64 * 64;
    values_.push_back(d);
    memory_.resize(memory_.size() + d.slot_stride, canary());
    host.push_back({h, w, c, std::vector<float>(static_cast<size_t>(h) * w * c)});
    return static_cast<int>(values_.size()) - 1;
  }
  int add_read(int value, bool exists) {
    slots_.push_back(exists ? values_[value].offset : -1);
    return static_cast<int>(slots_.size()) - 1;
  }

  std::vector<pv_tile> all_tiles() const {
    std::vector<pv_tile> tiles;
    for (int row = 0; row < kRows; ++row) {
      for (int y = 0; y * op.tile_h < op.out_h; ++y) {
        for (int x = 0; x * op.tile_w < op.out_w; ++x) {
          for (int c = 0; c * op.tile_c < op.out_c; ++c) tiles.push_back({0, row, y, x, c, 0});
        }
      }
    }
    std::shuffle(tiles.begin(), tiles.end(), rng);
    return tiles;
  }
  std::vector<float> outputs() {
    std::vector<float> out;
    for (int y = 0; y < op.out_h; ++y) {
      for (int x = 0; x < op.out_w; ++x) {
        for (int i = 0; i < op.out_c; ++i) {
          out.push_back(pv::load(place(op.out_value, y, x) + op.out_c0 + i));
        }
      }
    }
    return out;
  }
  void wipe_outputs() {
    for (int y = 0; y < op.out_h; ++y) {
      for (int x = 0; x < op.out_w; ++x) {
        T* const pixel = place(op.out_value, y, x) + op.out_c0;
        std::fill_n(pixel, op.out_c, canary());
      }
    }
  }
};

// Whether `got` is `expected` rounded once, `bound` being what f32 sums may differ by; NaN and
// infinities in the same places.
template <pv_dtype D>
bool close(const std::vector<float>& got, const std::vector<float>& expected, double bound) {
  if (got.size() != expected.size()) return false;
  for (size_t i = 0; i < got.size(); ++i) {
    const double a = got[i], b = expected[i];
    if (std::isnan(a) && std::isnan(b)) continue;
    if (a == b) continue;
    const double smallest = D == PV_F16 ? std::ldexp(1.0, -25) : 0.0;
    const double room = kRounding<D> * std::abs(b) + smallest + bound * (1 + std::abs(b));
    if (!std::isfinite(b) || !(std::abs(a - b) <= room)) return false;
  }
  return true;
}

inline TileSize any_tile(int h, int w, int c) {
  return {pick(1, h), pick(1, w), std::min(pick_of({8, 16, 32, 64}), (c + 7) / 8 * 8)};
}

// f(dtype) of every dtype, as a type.
template <pv_dtype D>
struct Of {
  static constexpr pv_dtype value = D;
};
template <class F>
void for_dtypes(F&& f) {
  f(Of<PV_F32>()), f(Of<PV_TF32>()), f(Of<PV_F16>()), f(Of<PV_BF16>());
}

}  // namespace pvnet::test
