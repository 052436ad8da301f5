// SPDX-License-Identifier: Apache-2.0
// The first and the last launch of a tick on a device, on the shim: frames reach the rings, reads
// find their firings, outputs reach the right buffer, frozen rows keep theirs.
#include "check.hpp"
#include "device_io.hpp"

using namespace pvnet;
using namespace pvnet::test;

namespace {

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))) return false;
  }
  return a.size() == b.size();
}

// Ticks with random frames and frozen rows, and what is known of them.
template <pv_dtype D>
struct Run {
  DeviceIo<D> io;
  int last = 0;  // result of the last tick
  std::vector<std::vector<float>> shown = std::vector<std::vector<float>>(DeviceIo<D>::kIoRows);

  void tick(int request) {
    constexpr int rows = DeviceIo<D>::kIoRows;
    std::vector<TestFrame> frames;
    for (const auto& input : io.inputs) {
      for (int row = 0; row < rows; ++row) frames.push_back(io.any_frame(input));
    }
    std::vector<uint8_t> frozen;
    for (int row = 0; row < rows; ++row) frozen.push_back(pick(0, 3) == 0);
    const int bad = first_bad(frames, frozen);
    const int64_t turn = io.turn.ticks;
    const std::vector<int64_t> before = io.ticks;
    io.tick(frames, frozen, request);
    last = request < 0 ? turn & 1 : request;
    CHECK_EQ(io.turn.ticks, turn + 1);
    CHECK_EQ(io.header(last).not_finite, bad);
    for (int row = 0; row < rows; ++row) {
      CHECK_EQ(io.ticks[row], before[row] + (frozen[row] == 0));
      if (frozen[row] == 0) shown[row] = io.expected(row, io.ticks[row]);
    }
    check_shown();
  }
  // 1 + the number of the first frame that is read and not finite; 0: none.
  int first_bad(const std::vector<TestFrame>& frames, const std::vector<uint8_t>& frozen) const {
    constexpr int rows = DeviceIo<D>::kIoRows;
    for (int i = 0; i < static_cast<int>(frames.size()); ++i) {
      const int row = i % rows;
      const bool reads = io.due(io.inputs[i / rows], io.ticks[row]) && frozen[row] == 0;
      if (reads && frames[i].bad) return i + 1;
    }
    return 0;
  }
  void check_shown() const {
    for (int row = 0; row < DeviceIo<D>::kIoRows; ++row) {
      const std::vector<float> got = io.outputs_of(last, row);
      const std::vector<float> zeros(got.size());  // of a row that was frozen all the time
      CHECK(same(got, shown[row].empty() ? zeros : shown[row]));
    }
  }
};

}  // namespace

TEST(outputs_are_the_frames_that_their_reads_find) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 20; ++i) {
      Run<dtype.value> run;
      for (int tick = 0; tick < 9; ++tick) run.tick(-1);
    }
  });
}

TEST(a_captured_graph_has_a_request_and_a_result_of_its_own) {
  for (int i = 0; i < 20; ++i) {
    Run<PV_F32> run;
    for (int tick = 0; tick < 9; ++tick) run.tick(pick(0, 1) == 0 ? 2 : -1);
  }
}

TEST(the_tick_before_is_shown_again_for_restored_rows) {
  for_dtypes([](auto dtype) {
    for (int i = 0; i < 15; ++i) {
      Run<dtype.value> run;
      for (int tick = pick(0, 4); tick > 0; --tick) run.tick(-1);
      const pv_turn turn = run.io.turn;
      const int from = pick(0, 2), to = (from + 1) % 3;
      run.io.copy_row(from, to);
      run.io.again(to);
      run.shown[to] = run.io.expected(to, run.io.ticks[to]);
      run.check_shown();
      CHECK(std::memcmp(&turn, &run.io.turn, sizeof(turn)) == 0);
      run.io.ticks[from] = 0;  // a reset
      run.io.history[from].assign(run.io.inputs.size(), {});
      run.io.again(-1);
      run.shown[from] = run.io.expected(from, 0);
      run.check_shown();
      for (int tick = 0; tick < 4; ++tick) run.tick(-1);
    }
  });
}
