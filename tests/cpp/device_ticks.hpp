// SPDX-License-Identifier: Apache-2.0
// A Stream of a device, the least that one can be: memory, and begin, launches and end on the shim.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "plan/device/program.hpp"
#include "runtime/frame.hpp"
#include "shim/launch.hpp"
#include "shim/memory.hpp"

namespace device_ticks {

using pvnet::FrameView;
using pvnet::Plan;
using pvnet::device::Launch;
using pvnet::device::LaunchList;
using pvnet::device::Program;

enum Kernel { kBegin = 0, kTiles = 1, kEnd = 2, kPlainTiles = 3, kRareTiles = 4 };

class Device {
 public:
  // What no kernel may rely on is NaN.
  Device(const Plan& plan, bool plain) : plan_(plan), host_(*plan.device), plain_(plain) {
    const bool halves = host_.dtype == PV_F16 || host_.dtype == PV_BF16;
    const auto rows = static_cast<size_t>(plan.options.batch);
    memory_.assign(rows * static_cast<size_t>(host_.row_elements) * (halves ? 2 : 4) + kAlign,
                   std::byte{0xff});
    slots_.assign(rows * host_.reads.size(), int64_t{1} << 40);
    ticks_.assign(rows, 0);
    partials_.assign(static_cast<size_t>(host_.partial_floats),
                     std::numeric_limits<float>::quiet_NaN());
    counters_.assign(static_cast<size_t>(host_.counters), 0);
    for (auto& r : results_) {
      r.assign(static_cast<size_t>(host_.result_bytes(plan.options.batch)), std::byte{0});
    }
  }

  // f32 frames [input][row], dense.
  void tick(const std::vector<FrameView>& views, const LaunchList& list, std::mt19937* shuffle) {
    std::vector<pv_frame> frames;
    for (const FrameView& v : views) {
      frames.push_back({v.data, {v.strides[0], v.strides[1], v.strides[2]}, 0, 1});
    }
    const std::vector<uint8_t> frozen(ticks_.size(), 0);
    pv_program p = program(list, frames, frozen);
    run(kBegin, p, {0, -1, 0, -1}, 2, 0);
    std::vector<bool> done(list.launches.size(), false);
    for (size_t n = 0; n < list.launches.size(); ++n) {
      const size_t l = next(list, done, shuffle);
      const Launch& launch = list.launches[l];
      const Kernel fast = launch.rare ? kRareTiles : kTiles;
      run(plain_ ? kPlainTiles : fast, p, {launch.first_tile, -1, 0, -1}, launch.tiles,
          plain_ ? 0 : static_cast<size_t>(launch.shared_bytes));
      done[l] = true;
    }
    run(kEnd, p, {0, -1, 0, -1}, 2, 0);
  }

  // Of the last tick, rows side by side, outputs as the Plan lists them.
  const float* outputs(int row) const {
    return reinterpret_cast<const float*>(results_[turn_.result].data() + sizeof(pv_result)) +
           row * host_.row_floats;
  }

 private:
  static constexpr size_t kAlign = 128;
  const Plan& plan_;
  const Program& host_;
  const bool plain_;
  std::vector<std::byte> memory_;
  std::vector<int64_t> slots_, ticks_;
  std::vector<float> partials_;
  std::vector<int32_t> counters_;
  std::vector<std::byte> results_[3];
  pv_turn turn_ = {};

  pv_program program(const LaunchList& list, const std::vector<pv_frame>& frames,
                     const std::vector<uint8_t>& frozen) {
    pv_program p = {};
    p.values = host_.values.data(), p.segments = host_.segments.data();
    p.reads = host_.reads.data(), p.sources = host_.sources.data();
    p.pieces = host_.pieces.data(), p.patches = host_.patches.data(), p.ops = host_.ops.data();
    p.inputs = host_.inputs.data(), p.outputs = host_.outputs.data();
    p.tiles = list.tiles.data(), p.weights = plan_.packed.data(), p.floats = host_.floats.data();
    p.n_reads = static_cast<int32_t>(host_.reads.size());
    p.n_inputs = static_cast<int32_t>(host_.inputs.size());
    p.n_outputs = static_cast<int32_t>(host_.outputs.size());
    p.n_rows = plan_.options.batch;
    p.row_elements = host_.row_elements;
    p.result_bytes = host_.result_bytes(plan_.options.batch), p.row_floats = host_.row_floats;
    const auto start = reinterpret_cast<uintptr_t>(memory_.data());
    p.memory = memory_.data() + (kAlign - start % kAlign) % kAlign;
    p.slots = slots_.data(), p.ticks = ticks_.data(), p.turn = &turn_;
    for (auto& r : p.requests) r = {frames.data(), frozen.data()};
    for (int i = 0; i < 3; ++i) p.results[i] = results_[i].data();
    p.partials = partials_.data(), p.counters = counters_.data();
    return p;
  }

  void run(Kernel kernel, const pv_program& p, const pv_call& call, int blocks, size_t shared) {
    pv_shim_launch(kernel, host_.dtype, p, call, blocks, shared);
  }

  // The first launch that may run, or any of them.
  static size_t next(const LaunchList& list, const std::vector<bool>& done, std::mt19937* shuffle) {
    std::vector<size_t> ready;
    for (size_t l = 0; l < done.size(); ++l) {
      const auto& after = list.launches[l].after;
      const bool may = std::all_of(after.begin(), after.end(),
                                   [&](int a) { return done[static_cast<size_t>(a)]; });
      if (!done[l] && may) ready.push_back(l);
    }
    return shuffle == nullptr ? ready.front() : ready[(*shuffle)() % ready.size()];
  }
};

}  // namespace device_ticks
