// SPDX-License-Identifier: Apache-2.0
// The tables of a Program that operations share: segments, reads, sources, pieces. What is there
// already is not added again.
#pragma once

#include <array>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "plan/device/program.hpp"

namespace pvnet::device {

class Tables {
 public:
  Tables(const Plan& plan, Program& program) : plan_(plan), program_(program) {}

  int segment(const Segment& segment);
  // The value's own clock, as whoever writes it reads it.
  int own_segment(int value);
  int read(int segment, int64_t taps_back);
  int write_of(int value) { return read(own_segment(value), PV_WRITE); }

  // Channels [lo, hi) of an operand, at `taps` firings each. Returns the first piece and how many.
  std::pair<int, int> operand_pieces(const std::vector<Segment>& operand, int taps, int dilation,
                                     int lo, int hi);
  // Runs of channels in which no operand changes its segment.
  std::pair<int, int> eltwise_pieces(const PlanOp& op, int channels);
  // Of chosen channels of an operand: runs that stay side by side in a segment.
  std::pair<int, int> selected_pieces(const std::vector<Segment>& operand,
                                      const std::vector<int>& index);
  // PV_K_BYTES of channels of each segment at each tap; `folded`: all channels, there are few.
  std::pair<int, int> patches(const PlanOp& op, int lo, int hi, bool folded);

 private:
  const Plan& plan_;
  Program& program_;
  std::map<std::vector<int64_t>, int> segments_;
  std::map<std::pair<int, int64_t>, int> reads_;

  void add_source(const Segment& segment, int64_t taps_back, int c0, int c_step);
  void end_piece(int c0, int channels, size_t source0);
};

// Channels of [lo, hi) that the segments of an operand have, in order: f(segment, its first one,
// counted in the segment, how many).
template <class F>
void for_segments(const std::vector<Segment>& operand, int lo, int hi, F&& f) {
  int first = 0;
  for (const Segment& s : operand) {
    const int from = std::max(lo, first), to = std::min(hi, first + s.c);
    if (from < to) f(s, from - first, to - from);
    first += s.c;
  }
}

}  // namespace pvnet::device
