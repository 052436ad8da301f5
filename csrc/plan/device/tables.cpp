// SPDX-License-Identifier: Apache-2.0
#include "plan/device/tables.hpp"

#include <algorithm>
#include <array>

#include "backends/layout.hpp"
#include "plan/op_params.hpp"

namespace pvnet::device {

int Tables::segment(const Segment& segment) {
  std::vector<int64_t> key = {segment.value, segment.c};
  for (const Hop& hop : segment.hops) {
    key.insert(key.end(), {hop.clock.period, hop.clock.origin, hop.delay});
  }
  const auto [it, added] =
      segments_.try_emplace(std::move(key), static_cast<int>(program_.segments.size()));
  if (added) {
    pvnet_device_segment s = {};
    s.value = segment.value;
    s.channels = segment.c;
    s.n_hops = static_cast<int32_t>(segment.hops.size());
    for (size_t i = 0; i < segment.hops.size(); ++i) {
      const Hop& hop = segment.hops[i];
      s.hops[i] = {{hop.clock.period, hop.clock.origin}, hop.delay};
    }
    program_.segments.push_back(s);
  }
  return it->second;
}

int Tables::own_segment(int value) {
  const Value& v = plan_.values[static_cast<size_t>(value)];
  return segment({value, v.shape.c, {{v.clock, 0}}});
}

int Tables::read(int segment, int64_t taps_back) {
  const auto [it, added] =
      reads_.try_emplace({segment, taps_back}, static_cast<int>(program_.reads.size()));
  if (added) program_.reads.push_back({segment, static_cast<int32_t>(taps_back)});
  return it->second;
}

void Tables::add_source(const Segment& s, int64_t taps_back, int c0, int c_step) {
  program_.sources.push_back({read(segment(s), taps_back), s.value, c0, c_step});
}

void Tables::end_piece(int c0, int channels, size_t source0) {
  program_.pieces.push_back({c0, channels, static_cast<int32_t>(source0),
                             static_cast<int32_t>(program_.sources.size() - source0)});
}

std::pair<int, int> Tables::operand_pieces(const std::vector<Segment>& operand, int taps,
                                           int dilation, int lo, int hi) {
  const size_t begin = program_.pieces.size();
  int c0 = 0;
  for_segments(operand, lo, hi, [&](const Segment& s, int first, int channels) {
    const size_t source0 = program_.sources.size();
    for (int tap = 0; tap < taps; ++tap) {
      add_source(s, int64_t{taps - 1 - tap} * dilation, first, 1);
    }
    end_piece(c0, channels, source0);
    c0 += channels;
  });
  return {static_cast<int>(begin), static_cast<int>(program_.pieces.size() - begin)};
}

std::pair<int, int> Tables::eltwise_pieces(const PlanOp& op, int channels) {
  const size_t begin = program_.pieces.size();
  std::array<size_t, kMaxOperands> at = {};
  std::array<int, kMaxOperands> used = {};  // channels of that segment
  const auto stands_for_all = [&](const std::vector<Segment>& operand) {
    return operand.size() == 1 && operand[0].c == 1 && channels > 1;
  };
  for (int c0 = 0, n = 0; c0 < channels; c0 += n) {
    n = channels - c0;
    for (size_t i = 0; i < op.operands.size(); ++i) {
      if (stands_for_all(op.operands[i])) continue;
      n = std::min(n, op.operands[i][at[i]].c - used[i]);
    }
    const size_t source0 = program_.sources.size();
    for (size_t i = 0; i < op.operands.size(); ++i) {
      const Segment& s = op.operands[i][at[i]];
      const bool all = stands_for_all(op.operands[i]);
      add_source(s, 0, used[i], all ? 0 : 1);
      if (all) continue;
      used[i] += n;
      if (used[i] == s.c) used[i] = 0, ++at[i];
    }
    end_piece(c0, n, source0);
  }
  return {static_cast<int>(begin), static_cast<int>(program_.pieces.size() - begin)};
}

std::pair<int, int> Tables::selected_pieces(const std::vector<Segment>& operand,
                                            const std::vector<int>& index) {
  const size_t begin = program_.pieces.size();
  std::vector<int> first;  // channel of each segment
  int channels = 0;
  for (const Segment& s : operand) {
    first.push_back(channels);
    channels += s.c;
  }
  size_t n = 0;
  for (size_t c0 = 0; c0 < index.size(); c0 += n) {
    const auto after = std::upper_bound(first.begin(), first.end(), index[c0]);
    const auto at = static_cast<size_t>(after - first.begin() - 1);
    const int end = first[at] + operand[at].c;
    n = 1;
    while (c0 + n < index.size() && index[c0 + n] == index[c0 + n - 1] + 1 && index[c0 + n] < end) {
      ++n;
    }
    const size_t source0 = program_.sources.size();
    add_source(operand[at], 0, index[c0] - first[at], 1);
    end_piece(static_cast<int>(c0), static_cast<int>(n), source0);
  }
  return {static_cast<int>(begin), static_cast<int>(program_.pieces.size() - begin)};
}

std::pair<int, int> Tables::patches(const PlanOp& op, int lo, int hi, bool folded) {
  const size_t begin = program_.patches.size();
  for_segments(op.operands[0], lo, hi, [&](const Segment& s, int first, int channels) {
    const Dtype dtype = plan_.values[static_cast<size_t>(s.value)].dtype;
    const int most = folded ? kNarrowChannels : PV_K_BYTES / static_cast<int>(element_bytes(dtype));
    for (int tap = 0; tap < op.taps; ++tap) {
      const int r = read(segment(s), int64_t{op.taps - 1 - tap} * op.dilation);
      for (int c = 0; c < channels; c += most) {
        program_.patches.push_back({r, s.value, first + c, std::min(most, channels - c)});
      }
    }
  });
  return {static_cast<int>(begin), static_cast<int>(program_.patches.size() - begin)};
}

}  // namespace pvnet::device
