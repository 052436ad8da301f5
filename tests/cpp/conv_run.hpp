// SPDX-License-Identifier: Apache-2.0
// Runs a ConvCase on the shim for some ticks, beside a history from which float64 computes what
// must come out.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "conv_tables.hpp"
#include "kernels/conv/conv.cuh"
#include "shim/grid.hpp"

namespace pvnet::test {

template <pv_dtype D>
void conv_kernel(const pv_program& p) {
  PV_SMEM(shared);
  pv::allow_next_launch();
  pv::conv_block<D>(p, p.tiles[blockIdx.x], shared, [](auto&& run) { run(); });
}

struct Outcome {
  double error = 0, norm = 0;  // squares
  std::string complaint;
  double relative() const { return norm > 0 ? std::sqrt(error / norm) : error > 0 ? 1 : 0; }
};

template <pv_dtype D>
class ConvRun {
 public:
  using T = pv::storage<D>;

  ConvRun(const ConvCase& conv, uint64_t seed)
      : c_(conv),
        rng_(seed),
        weights_(any_numbers(size_t{1} * c_.out_c * c_.in_c() * c_.kt * c_.kh * c_.kw,
                             1 / std::sqrt(1.0 * c_.in_c() * c_.kt * c_.kh * c_.kw))),
        bias_(any_numbers(c_.out_c, 0.3)),
        tables_(c_, weights_, bias_) {
    shim::seed(seed);
    history_.resize(kCaseRows * c_.segments.size());
  }

  int splits() const { return tables_.op.splits; }

  // Some ticks; the second row is frozen in one of them. Launches are made in two of them.
  Outcome run(bool early) {
    Outcome outcome;
    const shim::Range memory(tables_.memory.data(), tables_.memory.size() * sizeof(T));
    const shim::Range weights(tables_.packed.data(), tables_.packed.size());
    const shim::Range partials(tables_.partials.data(), tables_.partials.size() * sizeof(float));
    const shim::Range counters(tables_.counters.data(), tables_.counters.size() * sizeof(int32_t));
    const int first = pick(0, 2), second = pick(3, 7);
    try {
      for (int tick = 0; tick <= second; ++tick) {
        const int frozen = tick == first || pick(0, 5) == 0 ? 1 : -1;
        for (int row = 0; row < kCaseRows; ++row) {
          if (row != frozen) write_inputs(row);
        }
        if (tick == first || tick == second) make_tick(frozen, early, outcome);
        for (int row = 0; row < kCaseRows; ++row) ticks_[row] += row != frozen;
      }
    } catch (const shim::Error& e) {
      outcome.complaint = e.what();
    }
    return outcome;
  }

 private:
  using Map = std::vector<double>;           // [h][w][channels], as tensor cores see the elements
  static constexpr int kMostChecked = 1200;  // outputs of a row and tick

  ConvCase c_;
  std::mt19937_64 rng_;
  std::vector<float> weights_, bias_;
  ConvTables<D> tables_;
  int64_t ticks_[kCaseRows] = {0, 0};
  std::vector<std::vector<Map>> history_;  // [row][segment][firing]

  int pick(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(rng_); }
  std::vector<float> any_numbers(size_t n, double scale) {
    std::normal_distribution<double> normal(0, scale);
    std::vector<float> all(n);
    for (float& x : all) x = static_cast<float>(normal(rng_));
    return all;
  }
  // As tensor cores see it once it is stored.
  static double seen(float x) {
    if (D == PV_TF32) return pv::float_of(pv::round_tf32(pv::bits_of(x)));
    T stored;
    pv::store(&stored, x);
    return pv::load(&stored);
  }

  void write_inputs(int row) {
    for (size_t s = 0; s < c_.segments.size(); ++s) {
      const CaseSegment& segment = c_.segments[s];
      if (!ConvTables<D>::due(segment.clock, ticks_[row])) continue;
      std::vector<Map>& maps = history_[row * c_.segments.size() + s];
      const std::vector<float> numbers = any_numbers(size_t{1} * c_.h * c_.w * segment.channels, 1);
      maps.emplace_back();
      for (size_t i = 0; i < numbers.size(); ++i) {
        const int k = static_cast<int>(i) % segment.channels;
        const int pixel = static_cast<int>(i) / segment.channels;
        T* const to = tables_.at(row, static_cast<int>(s), static_cast<int64_t>(maps.size()) - 1,
                                 pixel / c_.w, pixel % c_.w);
        pv::store(to + segment.before + k, numbers[i]);
        maps.back().push_back(seen(numbers[i]));
      }
    }
  }

  void make_tick(int frozen, bool early, Outcome& outcome) {
    const std::vector<T> before = tables_.memory;
    launch(tables_.slots_at(ticks_, frozen), early, outcome);
    for (int row = 0; row < kCaseRows; ++row) {
      if (row == frozen || !ConvTables<D>::due(c_.clock, ticks_[row])) continue;
      check_row(row, outcome);
      wipe(row, before);
    }
    if (std::memcmp(before.data(), tables_.memory.data(), before.size() * sizeof(T)) != 0) {
      outcome.complaint = "written beside the output";
    }
    for (int64_t& slot : tables_.slots) slot = int64_t{1} << 40;
  }

  // The slots come from a launch in front, which may still run when this one starts.
  void launch(const std::vector<int64_t>& slots, bool early, Outcome& outcome) {
    const pv_program p = tables_.program();
    shim::Grid begin({1, 32, 0,
                      [&] {
                        for (size_t i = threadIdx.x; i < slots.size(); i += 32) {
                          p.slots[i] = slots[i];
                        }
                      },
                      false});
    shim::Grid conv({static_cast<int>(tables_.tiles.size()), PV_THREADS,
                     static_cast<size_t>(pv_conv_shared_bytes(&tables_.op)),
                     [&] { conv_kernel<D>(p); }, true});
    if (early) conv.start();
    begin.finish();
    conv.finish();
    if (conv.early_copies() == 0) outcome.complaint = "no weights travel before the wait";
  }

  // Firing that tap `tap` of a segment reads, by counting.
  int64_t firing(const CaseSegment& segment, int64_t tick, int tap) const {
    int64_t n = 0;
    for (int64_t t = 0; t <= tick - segment.delay; ++t) n += ConvTables<D>::due(segment.clock, t);
    return n - 1 - (c_.kt - 1 - tap) * c_.dt;
  }
  double expected(int row, int y, int x, int channel) const {
    double sum = bias_[channel];
    int first = 0;
    for (size_t s = 0; s < c_.segments.size(); ++s) {
      const CaseSegment& segment = c_.segments[s];
      for (int tap = 0; tap < c_.kt; ++tap) {
        const int64_t f = firing(segment, ticks_[row], tap);
        if (f < 0) continue;
        const Map& map = history_[row * c_.segments.size() + s][f];
        for (int ky = 0; ky < c_.kh; ++ky) {
          for (int kx = 0; kx < c_.kw; ++kx) {
            const int iy = y * c_.sh - c_.ph + ky * c_.dh, ix = x * c_.sw - c_.pw + kx * c_.dw;
            if (iy < 0 || iy >= c_.h || ix < 0 || ix >= c_.w) continue;
            const double* const pixel = &map[(size_t{1} * iy * c_.w + ix) * segment.channels];
            for (int k = 0; k < segment.channels; ++k) {
              const size_t at = (size_t{1} * channel * c_.in_c() + first + k) * c_.kt + tap;
              sum += pixel[k] * seen(weights_[(at * c_.kh + ky) * c_.kw + kx]);
            }
          }
        }
      }
      first += segment.channels;
    }
    if (c_.act == PV_RELU) return std::max(sum, 0.0);
    if (c_.act == PV_NONE) return sum;
    return (c_.act == PV_SILU ? sum : 1) / (1 + std::exp(-sum));
  }

  int64_t out_firing(int row) const { return (ticks_[row] - c_.clock.origin) / c_.clock.period; }

  void check_row(int row, Outcome& outcome) {
    const int n = c_.out_h() * c_.out_w() * c_.out_c;
    const int stride = std::max(1, n / kMostChecked);
    const int chosen = pick(0, stride - 1);
    for (int i = 0; i < n; ++i) {
      const int channel = i % c_.out_c, y = i / c_.out_c / c_.out_w(),
                x = i / c_.out_c % c_.out_w();
      const T* const pixel = tables_.at(row, tables_.op.out_value, out_firing(row), y, x);
      const double got = pv::load(pixel + c_.out_before + channel);
      if (std::isnan(got)) outcome.complaint = "an output is NaN";
      if (i % stride != chosen) continue;
      const double wanted = expected(row, y, x, channel);
      outcome.error += (got - wanted) * (got - wanted);
      outcome.norm += wanted * wanted;
    }
  }
  // Puts back what the output has overwritten, and only that.
  void wipe(int row, const std::vector<T>& before) {
    for (int y = 0; y < c_.out_h(); ++y) {
      for (int x = 0; x < c_.out_w(); ++x) {
        T* const to = tables_.at(row, tables_.op.out_value, out_firing(row), y, x) + c_.out_before;
        std::memcpy(to, before.data() + (to - tables_.memory.data()), c_.out_c * sizeof(T));
      }
    }
  }
};

}  // namespace pvnet::test
