// SPDX-License-Identifier: Apache-2.0
// The tables of kernels/program.h for one ConvCase, and the memory that they tell of. Written from
// program.h alone: what makes them for a plan is not used, so that each judges the other.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "conv_case.hpp"
#include "kernels/pv.cuh"

namespace pvnet::test {

constexpr int kCaseRows = 2;

template <pv_dtype D>
class ConvTables {
 public:
  using T = pv::storage<D>;
  static constexpr int kElements = PV_K_BYTES / static_cast<int>(sizeof(T));  // of a k-step

  const ConvCase& c;
  pv_op op = {};
  std::vector<pvnet_device_value> values;  // of segments, then the output
  std::vector<pvnet_device_segment> segments;
  std::vector<pv_read> reads;
  std::vector<pv_patch> patches;
  std::vector<pv_tile> tiles;
  std::vector<T> memory;
  std::vector<float> partials, bias;
  std::vector<int32_t> counters;
  std::vector<int64_t> slots;
  std::vector<char> packed;

  // weights [out_c][in_c][kt][kh][kw]
  ConvTables(const ConvCase& conv, const std::vector<float>& weights, const std::vector<float>& b)
      : c(conv), bias(b) {
    for (const CaseSegment& s : c.segments) add_value(s);
    add_output();
    set_op();
    add_tiles();
    pack(weights);
    bias.resize(bias.size() + bias.size() % 2, NAN);
    pv::store(&canary_, NAN);
    memory.assign(kCaseRows * row_elements_, canary_);
    partials.assign(tiles.size() * PV_TILE_M * PV_TILE_N, NAN);
    counters.assign(tiles.size(), 0);
    slots.assign(kCaseRows * reads.size(), kNowhere);
  }

  pv_program program() {
    pv_program p = {};
    p.values = values.data(), p.segments = segments.data(), p.reads = reads.data();
    p.patches = patches.data(), p.ops = &op, p.tiles = tiles.data();
    p.weights = aligned_weights(), p.floats = bias.data();
    p.n_reads = static_cast<int>(reads.size()), p.n_rows = kCaseRows;
    p.row_elements = row_elements_, p.memory = memory.data(), p.slots = slots.data();
    p.partials = partials.data(), p.counters = counters.data();
    return p;
  }
  // As begin makes them.
  std::vector<int64_t> slots_at(const int64_t (&ticks)[kCaseRows], int frozen_row) const {
    std::vector<int64_t> found;
    for (int row = 0; row < kCaseRows; ++row) {
      for (const pv_read& r : reads) {
        const bool write = r.taps_back == PV_WRITE;
        const bool writes = row != frozen_row && due(c.clock, ticks[row]);
        const pvnet_device_segment& s = segments[r.segment];
        const int64_t firing = write
                                   ? (writes ? (ticks[row] - c.clock.origin) / c.clock.period : -1)
                                   : pvnet_device_firing(&s, ticks[row], r.taps_back);
        found.push_back(firing < 0 ? -1 : pvnet_device_slot(&values[s.value], firing));
      }
    }
    return found;
  }
  static bool due(const pvnet_device_clock& clock, int64_t tick) {
    return tick >= clock.origin && (tick - clock.origin) % clock.period == 0;
  }
  T* at(int row, int value, int64_t firing, int y, int x) {
    const pvnet_device_value& v = values[value];
    return memory.data() + row * row_elements_ + pvnet_device_slot(&v, firing) + y * v.row_stride +
           x * v.pixel_stride;
  }
  const char* aligned_weights() const {
    return packed.data() + (128 - reinterpret_cast<uintptr_t>(packed.data()) % 128);
  }
  T canary() const { return canary_; }

 private:
  static constexpr int64_t kNowhere = int64_t{1} << 40;  // a slot that must not be used
  int64_t row_elements_ = 0;
  T canary_;

  int place_value(int channels, int h, int w, int depth, bool folds, pvnet_device_clock clock) {
    pvnet_device_value v = {};
    v.c = channels, v.h = h, v.w = w, v.depth = depth, v.clock = clock;
    v.pixel_stride = folds ? 4 : round_up(channels, 16 / static_cast<int>(sizeof(T)));
    v.row_stride = v.pixel_stride * w;
    v.slot_stride = round_up(static_cast<int>(v.row_stride) * h, 64);
    v.offset = row_elements_;
    row_elements_ += v.slot_stride * depth;
    values.push_back(v);
    return static_cast<int>(values.size()) - 1;
  }
  void add_value(const CaseSegment& s) {
    const int depth = static_cast<int>(s.delay) + (c.kt - 1) * c.dt + 2;
    const int value =
        place_value(s.before + s.channels + s.after, c.h, c.w, depth, c.folds, s.clock);
    pvnet_device_segment segment = {};
    segment.value = value, segment.channels = s.channels, segment.n_hops = 1;
    segment.hops[0] = {s.clock, s.delay};
    segments.push_back(segment);
    const int chunk = c.folds ? 4 : kElements;
    for (int tap = 0; tap < c.kt; ++tap) {
      reads.push_back({static_cast<int>(segments.size()) - 1, (c.kt - 1 - tap) * c.dt});
      for (int k = 0; k < s.channels; k += chunk) {
        patches.push_back({static_cast<int>(reads.size()) - 1, value, s.before + k,
                           std::min(chunk, s.channels - k)});
      }
    }
  }
  void add_output() {
    op.out_value =
        place_value(c.out_before + c.out_c + c.out_after, c.out_h(), c.out_w(), 2, false, c.clock);
    pvnet_device_segment segment = {};
    segment.value = op.out_value, segment.n_hops = 1, segment.hops[0] = {c.clock, 0};
    segments.push_back(segment);
    op.write = static_cast<int>(reads.size());
    reads.push_back({static_cast<int>(segments.size()) - 1, PV_WRITE});
  }
  void set_op() {
    op.kind = PV_CONV, op.act = c.act;
    op.in_c = c.in_c(), op.in_h = c.h, op.in_w = c.w;
    op.out_c = c.out_c, op.out_h = c.out_h(), op.out_w = c.out_w(), op.out_c0 = c.out_before;
    op.kt = c.kt, op.kh = c.kh, op.kw = c.kw, op.sh = c.sh, op.sw = c.sw;
    op.ph = c.ph, op.pw = c.pw, op.dh = c.dh, op.dw = c.dw, op.groups = 1;
    op.n_patches = static_cast<int>(patches.size());
    op.splits = std::min(c.splits, op.n_patches);
    const int share = (op.n_patches + op.splits - 1) / op.splits;
    op.splits = (op.n_patches + share - 1) / share;  // none without a patch
    CaseMaker::set_patch<D>(c, c.tile_h, c.tile_w, op);
  }
  void add_tiles() {
    for (int row = 0; row < kCaseRows; ++row) {
      for (int y = 0; y * op.tile_h < op.out_h; ++y) {
        for (int x = 0; x * op.tile_w < op.out_w; ++x) {
          for (int n = 0; n * PV_TILE_N < op.out_c; ++n) {
            for (int s = 0; s < op.splits; ++s) tiles.push_back({0, row, y, x, n, s});
          }
        }
      }
    }
  }

  // weights of (output channel, k-step of patch `q`, element of the step)
  float weight_of(const std::vector<float>& weights, int channel, int q, int ky, int kx,
                  int element) const {
    int x = kx, k = element;
    if (c.folds) x = (kx * kElements + element) / 4, k = element % 4;
    const pv_patch& patch = patches[q];
    if (channel >= c.out_c || x >= c.kw || k >= patch.channels) return 0;
    const int segment = reads[patch.read].segment;
    int first = patch.c0 - c.segments[segment].before;
    for (int s = 0; s < segment; ++s) first += c.segments[s].channels;
    const int tap = c.kt - 1 - reads[patch.read].taps_back / c.dt;
    const int in_c = c.in_c();
    return weights[(((size_t{0} + channel) * in_c + first + k) * c.kt + tap) * c.kh * c.kw +
                   ky * c.kw + x];
  }
  void pack(const std::vector<float>& weights) {
    std::vector<char> all;
    for (int channel0 = 0; channel0 < c.out_c; channel0 += PV_TILE_N) {
      for (int q = 0; q < op.n_patches; ++q) {
        for (int step = 0; step < op.steps_per_patch; ++step) {
          T rows[PV_TILE_N][kElements];
          for (int n = 0; n < PV_TILE_N; ++n) {
            for (int e = 0; e < kElements; ++e) {
              const int piece = e * static_cast<int>(sizeof(T)) / 16 ^ ((n >> 1) & 3);
              const int per_piece = 16 / static_cast<int>(sizeof(T));
              float f = weight_of(weights, channel0 + n, q, step / op.steps_per_row,
                                  step % op.steps_per_row, e);
              if (D == PV_TF32) f = pv::float_of(pv::round_tf32(pv::bits_of(f)));
              pv::store(&rows[n][piece * per_piece + e % per_piece], f);
            }
          }
          const char* const bytes = reinterpret_cast<const char*>(rows);
          all.insert(all.end(), bytes, bytes + sizeof(rows));
        }
      }
    }
    packed.resize(all.size() + 128);
    std::memcpy(const_cast<char*>(aligned_weights()), all.data(), all.size());
  }
};

}  // namespace pvnet::test
