// SPDX-License-Identifier: Apache-2.0
// begin and end alone, for tests: inputs whose rings the outputs read at once, with delays and
// taps, beside a history of all frames from which the expected outputs are looked up.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "device_op.hpp"

namespace pvnet::test {

// A frame in the caller's memory, and the same as f32 [h][w][c].
struct TestFrame {
  std::vector<uint8_t> bytes;
  std::vector<float> numbers;
  pv_frame frame = {};
  std::vector<float> elements;
  bool bad = false;  // an element that is to be checked is not finite
};

template <pv_dtype D>
class DeviceIo {
 public:
  using T = pv::storage<D>;
  static constexpr int kIoRows = 3;

  struct Input {
    int c, h, w;
    pvnet_device_clock clock;
  };
  struct Output {  // pieces: channels [c0, c0 + n) of an input at a delay, taps_back firings ago
    struct Piece {
      int input, c0, n, delay, taps_back;
    };
    std::vector<Piece> pieces;
    int c = 0;
  };

  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<float> results[3];  // header and outputs
  std::vector<int64_t> ticks = std::vector<int64_t>(kIoRows);
  pv_turn turn = {};
  // [row][input]: stored frames by firing
  std::vector<std::vector<std::vector<std::vector<float>>>> history;

  DeviceIo() {
    const int h = pick(1, 6), w = pick(1, 6);
    for (int i = pick(1, 2); i > 0; --i) {
      inputs.push_back({pick_of({1, 3, 4, 9}), h, w, {pick(1, 3), pick(0, 2)}});
    }
    for (int i = pick(1, 3); i > 0; --i) add_output();
    history.assign(kIoRows, std::vector<std::vector<std::vector<float>>>(inputs.size()));
    build();
  }

  // Whether an input fires at a tick, and how often it did until then.
  static bool due(const Input& in, int64_t tick) {
    return tick >= in.clock.origin && (tick - in.clock.origin) % in.clock.period == 0;
  }
  static int64_t firings(const Input& in, int64_t tick) {
    int64_t n = 0;
    for (int64_t t = 0; t <= tick; ++t) n += due(in, t);
    return n;
  }

  // The outputs of a row that has made `made` ticks, as the last of them wrote them.
  std::vector<float> expected(int row, int64_t made) const {
    std::vector<float> all(row_floats_, 0.0f);
    size_t at = 0;
    for (const Output& output : outputs) {
      at += kGap;
      for (const typename Output::Piece& q : output.pieces) {
        const Input& in = inputs[q.input];
        const int64_t firing = firings(in, made - 1 - q.delay) - 1 - q.taps_back;
        for (int c = q.c0; c < q.c0 + q.n; ++c) {
          for (int pixel = 0; pixel < in.h * in.w; ++pixel, ++at) {
            if (firing >= 0) all[at] = history[row][q.input][firing][pixel * in.c + c];
          }
        }
      }
    }
    return all;
  }
  std::vector<float> outputs_of(int result, int row) const {
    const float* from = results[result].data() + kHeader + row * row_floats_;
    std::vector<float> all(from, from + row_floats_);
    size_t at = 0;  // nobody writes between outputs
    for (const Output& output : outputs) {
      for (int i = 0; i < kGap; ++i) all[at++] = 0.0f;
      at += static_cast<size_t>(output.c) * inputs[0].h * inputs[0].w;
    }
    return all;
  }
  const pv_result& header(int result) const {
    return *reinterpret_cast<const pv_result*>(results[result].data());
  }

  // One tick with these frames [input][row]; `request` as in pv_call.
  void tick(std::vector<TestFrame>& frames, const std::vector<uint8_t>& frozen, int request) {
    std::vector<pv_frame> raw;
    for (const TestFrame& f : frames) raw.push_back(f.frame);
    pv_program p = program();
    const pv_request wrong = {nullptr, nullptr};
    for (pv_request& r : p.requests) r = wrong;
    p.requests[request < 0 ? turn.ticks & 1 : request] = {raw.data(), frozen.data()};
    launch(p, {0, request, 0, -1});
    for (int row = 0; row < kIoRows; ++row) {
      for (size_t i = 0; i < inputs.size() && frozen[row] == 0; ++i) {
        if (!due(inputs[i], ticks[row] - 1)) continue;
        history[row][i].push_back(frames[i * kIoRows + row].elements);
        for (float& x : history[row][i].back()) x = rounded<T>(x);
      }
    }
  }
  // The outputs of the tick before once more, of one row or of all (-1).
  void again(int row) { launch(program(), {0, -1, 1, row}); }
  // Row `to` becomes what row `from` is, as a snapshot does it.
  void copy_row(int from, int to) {
    const auto at = [&](int row) { return memory_.begin() + row * row_elements_; };
    std::copy(at(from), at(from + 1), at(to));
    ticks[to] = ticks[from];
    history[to] = history[from];
  }

  TestFrame any_frame(const Input& in) const {
    TestFrame f;
    pick(0, 1) == 0 ? fill_u8(f, in) : fill_f32(f, in);
    return f;
  }
  // Of the input's first channel; for u8 frames.
  float scale(const Input& in, int c) const { return floats_[&in - inputs.data()][c]; }
  float shift(const Input& in, int c) const { return floats_[&in - inputs.data()][in.c + c]; }

 private:
  static constexpr int kGap = 3;  // floats in front of every output
  static constexpr int kHeader = sizeof(pv_result) / sizeof(float);
  std::vector<pvnet_device_value> values_;
  std::vector<pvnet_device_segment> segments_;
  std::vector<pv_read> reads_;
  std::vector<pv_source> sources_;
  std::vector<pv_piece> pieces_;
  std::vector<pv_input> device_inputs_;
  std::vector<pv_output> device_outputs_;
  std::vector<std::vector<float>> floats_;  // of every input: scale, then shift
  std::vector<float> all_floats_;
  std::vector<T> memory_;
  std::vector<int64_t> slots_;
  int64_t row_elements_ = 0, row_floats_ = 0;

  void add_output() {
    Output output;
    for (int i = pick(1, 3); i > 0; --i) {
      const int input = pick(0, static_cast<int>(inputs.size()) - 1), c = inputs[input].c;
      const int c0 = pick(0, c - 1), n = pick(1, c - c0);
      output.pieces.push_back({input, c0, n, pick(0, 3), pick(0, 2)});
      output.c += n;
    }
    outputs.push_back(output);
  }

  int add_segment(int input, int delay) {
    pvnet_device_segment s = {};
    s.value = input, s.channels = inputs[input].c, s.n_hops = 1;
    s.hops[0] = {inputs[input].clock, delay};
    segments_.push_back(s);
    return static_cast<int>(segments_.size()) - 1;
  }

  void build() {
    const int granule = 16 / static_cast<int>(sizeof(T));
    for (const Input& in : inputs) {
      pvnet_device_value v = {};
      v.c = in.c, v.h = in.h, v.w = in.w, v.clock = in.clock, v.depth = 7;
      v.pixel_stride = (in.c + granule - 1) / granule * granule;
      v.row_stride = v.pixel_stride * in.w, v.slot_stride = v.row_stride * in.h;
      v.offset = row_elements_;
      row_elements_ += v.slot_stride * v.depth;
      device_inputs_.push_back({static_cast<int>(values_.size()),
                                add_segment(static_cast<int>(values_.size()), 0),
                                static_cast<int64_t>(all_floats_.size())});
      values_.push_back(v);
      floats_.emplace_back();
      for (int i = 0; i < 2 * in.c; ++i) floats_.back().push_back(value());
      all_floats_.insert(all_floats_.end(), floats_.back().begin(), floats_.back().end());
    }
    for (const Output& output : outputs) add_device_output(output);
    memory_.resize(kIoRows * row_elements_);
    for (T& x : memory_) pv::store(&x, kNan);
    slots_.resize(kIoRows * reads_.size(), -7);
    for (std::vector<float>& r : results) r.resize(kHeader + kIoRows * row_floats_);
  }

  void add_device_output(const Output& output) {
    const int pixels = inputs[0].h * inputs[0].w;
    device_outputs_.push_back({static_cast<int>(pieces_.size()),
                               static_cast<int>(output.pieces.size()), output.c, inputs[0].h,
                               inputs[0].w, 0, row_floats_ + kGap});
    int c = 0;
    for (const typename Output::Piece& q : output.pieces) {
      pieces_.push_back({c, q.n, static_cast<int>(sources_.size()), 1});
      sources_.push_back({static_cast<int>(reads_.size()), q.input, q.c0, 1});
      reads_.push_back({add_segment(q.input, q.delay), q.taps_back});
      c += q.n;
    }
    reads_.push_back({add_segment(output.pieces[0].input, 0), PV_WRITE});
    row_floats_ += kGap + static_cast<int64_t>(output.c) * pixels;
  }

  pv_program program() {
    pv_program p = {};
    p.values = values_.data(), p.segments = segments_.data(), p.reads = reads_.data();
    p.sources = sources_.data(), p.pieces = pieces_.data(), p.inputs = device_inputs_.data();
    p.outputs = device_outputs_.data(), p.floats = all_floats_.data();
    p.n_reads = static_cast<int>(reads_.size()), p.n_inputs = static_cast<int>(inputs.size());
    p.n_outputs = static_cast<int>(outputs.size()), p.n_rows = kIoRows;
    p.row_elements = row_elements_, p.row_floats = row_floats_;
    p.memory = memory_.data(), p.slots = slots_.data(), p.ticks = ticks.data(), p.turn = &turn;
    for (int i = 0; i < 3; ++i) p.results[i] = results[i].data();
    return p;
  }

  // begin, then end, which may run up to its wait before begin does.
  void launch(const pv_program& p, const pv_call& call) {
    const auto of = [&](Kernel kernel) {
      return shim::launch_of(pv_shim_kernel(kernel, D), p, call, pick(1, 3), 0, true);
    };
    if (pick(0, 1) == 0) return shim::run_early({of(kBegin), of(kEnd)});
    shim::run(of(kBegin));
    for (size_t i = 0; i < slots_.size() && call.back == 0; ++i)
      check_write(p, static_cast<int>(i));
    shim::run(of(kEnd));
  }
  // What begin found for a write: where the value's next firing goes, or -1.
  void check_write(const pv_program& p, int i) const {
    const int n = static_cast<int>(reads_.size()), row = i / n;
    const pv_read& r = reads_[i % n];
    if (r.taps_back != PV_WRITE) return;
    const int input = segments_[r.segment].value;
    const pv_request& request = p.requests[p.turn->result];
    const bool writes = due(inputs[input], ticks[row]) && request.frozen[row] == 0;
    const pvnet_device_value& v = values_[input];
    const int64_t firing = firings(inputs[input], ticks[row]) - 1;
    CHECK_EQ(slots_[i], writes ? v.offset + firing % v.depth * v.slot_stride : -1);
  }

  void fill_u8(TestFrame& f, const Input& in) const {
    const int pitch = in.w * in.c + pick(0, 5);
    f.bytes.resize(static_cast<size_t>(pitch) * in.h);
    for (uint8_t& b : f.bytes) b = static_cast<uint8_t>(pick(0, 255));
    f.frame = {f.bytes.data(), {pitch, 0, 0}, 1, 0};
    for (int y = 0; y < in.h; ++y) {
      for (int i = 0; i < in.w * in.c; ++i) {
        const float x = f.bytes[static_cast<size_t>(y) * pitch + i];
        f.elements.push_back(std::fma(x, scale(in, i % in.c), shift(in, i % in.c)));
      }
    }
  }
  void fill_f32(TestFrame& f, const Input& in) const {
    // Channels first or last, with room between rows.
    const bool last = pick(0, 1) == 0;
    const int64_t gap = pick(0, 3);
    const int64_t row = last ? in.w * in.c + gap : in.w + gap;
    const int64_t strides[3] = {last ? 1 : row * in.h, row, last ? in.c : 1};
    f.numbers.resize((last ? 1 : in.c) * row * in.h, kNan);
    const bool specials = pick(0, 3) == 0;
    f.frame = {f.numbers.data(), {strides[0], strides[1], strides[2]}, 0, pick(0, 1)};
    for (int y = 0; y < in.h; ++y) {
      for (int x = 0; x < in.w; ++x) {
        for (int c = 0; c < in.c; ++c) {
          const bool special = specials && pick(0, 9) == 0;
          const float v = !special ? value() : pick(0, 1) == 0 ? kNan : -HUGE_VALF;
          f.numbers[c * strides[0] + y * strides[1] + x * strides[2]] = v;
          f.elements.push_back(v);
          f.bad = f.bad || (special && f.frame.check != 0);
        }
      }
    }
  }
};

}  // namespace pvnet::test
