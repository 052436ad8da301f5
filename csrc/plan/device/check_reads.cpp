// SPDX-License-Identifier: Apache-2.0
// Segments, reads, sources, pieces, patches: each row is looked at by what it leads to.
#include <algorithm>
#include <limits>

#include "plan/device/checks.hpp"
#include "plan/op_params.hpp"

namespace pvnet::device {
namespace {

// Whether the row says what the segment of the plan says.
bool same_segment(const pvnet_device_segment& d, const Segment& s) {
  if (d.value != s.value || d.channels != s.c || d.reserved != 0) return false;
  if (d.n_hops != static_cast<int32_t>(s.hops.size()) || d.n_hops > PVNET_MAX_HOPS) return false;
  for (int i = 0; i < PVNET_MAX_HOPS; ++i) {
    const Hop hop = i < d.n_hops ? s.hops[static_cast<size_t>(i)] : Hop{{0, 0}, 0};
    if (d.hops[i].clock.period != hop.clock.period || d.hops[i].clock.origin != hop.clock.origin ||
        d.hops[i].delay != hop.delay) {
      return false;
    }
  }
  return true;
}

template <class T>
bool has(const std::vector<T>& table, int64_t row) {
  return row >= 0 && row < static_cast<int64_t>(table.size());
}

}  // namespace

ReadsCheck::ReadsCheck(const Plan& plan, const Program& program)
    : plan_(plan),
      program_(program),
      segments_(program.segments.size()),
      reads_(program.reads.size()) {}

Status ReadsCheck::own(int segment, int value) {
  const Value& v = plan_.values[static_cast<size_t>(value)];
  const Segment own{value, v.shape.c, {{v.clock, 0}}};
  if (!segments_.has(segment) ||
      !same_segment(program_.segments[static_cast<size_t>(segment)], own)) {
    return wrong("segment " + std::to_string(segment), "another", "the value's own");
  }
  segments_.mark(segment);
  return {};
}

Status ReadsCheck::write(int row, int value) {
  if (!reads_.has(row) || program_.reads[static_cast<size_t>(row)].taps_back != PV_WRITE) {
    return wrong("read " + std::to_string(row), "none of a write", "one");
  }
  reads_.mark(row);
  return own(program_.reads[static_cast<size_t>(row)].segment, value);
}

Status ReadsCheck::read(int row, const Segment& segment, int64_t taps_back) {
  const std::string name = "read " + std::to_string(row);
  if (!reads_.has(row)) return wrong(name, "none", "one");
  const pv_read& r = program_.reads[static_cast<size_t>(row)];
  if (r.taps_back != taps_back) return wrong("taps back of " + name, r.taps_back, taps_back);
  if (!segments_.has(r.segment) ||
      !same_segment(program_.segments[static_cast<size_t>(r.segment)], segment)) {
    return wrong("segment of " + name, "another", "the operand's");
  }
  reads_.mark(row);
  segments_.mark(r.segment);
  return {};
}

Status ReadsCheck::source(int row, const Segment& segment, int64_t taps_back, int c0, int c_step) {
  if (row != sources_ || !has(program_.sources, row)) return wrong("next source", row, sources_);
  const pv_source& s = program_.sources[static_cast<size_t>(row)];
  if (s.value != segment.value || s.c0 != c0 || s.c_step != c_step) {
    return wrong("source " + std::to_string(row), "other channels", "the operand's");
  }
  ++sources_;
  return read(s.read, segment, taps_back);
}

Status ReadsCheck::piece(int row, int c0, int channels, int n_sources, const pv_piece** found) {
  if (row != pieces_ || !has(program_.pieces, row)) return wrong("next piece", row, pieces_);
  const pv_piece& p = program_.pieces[static_cast<size_t>(row)];
  if (p.c0 != c0 || p.channels != channels || p.n_sources != n_sources || p.source0 < 0 ||
      p.source0 > std::numeric_limits<int32_t>::max() - n_sources) {
    return wrong("piece " + std::to_string(row), "other channels", "the operand's");
  }
  ++pieces_;
  *found = &p;
  return {};
}

Status ReadsCheck::pieces(int piece0, int n_pieces, const std::vector<Segment>& operand, int taps,
                          int dilation, int lo, int hi) {
  int64_t row = piece0;
  int at = 0;  // channels of the operand
  for (const Segment& s : operand) {
    const int first = std::max(lo, at), end = std::min(hi, at + s.c);
    if (first < end) {
      const pv_piece* p = nullptr;
      PVNET_TRY(piece(static_cast<int>(std::min<int64_t>(row, std::numeric_limits<int>::max())),
                      first - lo, end - first, taps, &p));
      for (int tap = 0; tap < taps; ++tap) {
        const int64_t back = int64_t{dilation} * (taps - 1 - tap);
        PVNET_TRY(source(p->source0 + tap, s, back, first - at, 1));
      }
      ++row;
    }
    at += s.c;
  }
  if (row - piece0 == n_pieces) return {};
  return wrong("pieces of an operand", n_pieces, row - piece0);
}

Status ReadsCheck::eltwise(const pv_op& op, const PlanOp& of) {
  // The segment of an operand that has a channel, and the channel of it.
  const auto find = [](const std::vector<Segment>& operand, int channel) {
    size_t s = 0;
    for (; channel >= operand[s].c; ++s) channel -= operand[s].c;
    return std::pair(s, channel);
  };
  const int64_t operands = static_cast<int64_t>(of.operands.size());
  const auto one_for_all = [&](const auto& operand) {
    return operand.size() == 1 && operand[0].c == 1 && op.out_c != 1;
  };
  int64_t row = op.piece0;
  for (int c = 0; c < op.out_c; ++row) {
    int end = op.out_c;
    for (const auto& operand : of.operands) {
      if (one_for_all(operand)) continue;
      const auto [s, channel] = find(operand, c);
      end = std::min(end, c + operand[s].c - channel);
    }
    if (row > std::numeric_limits<int>::max()) return wrong("pieces of an operand", row, 0);
    const pv_piece* p = nullptr;
    PVNET_TRY(piece(static_cast<int>(row), c, end - c, static_cast<int>(operands), &p));
    for (size_t i = 0; i < of.operands.size(); ++i) {
      const auto& operand = of.operands[i];
      const bool all = one_for_all(operand);
      const auto [s, channel] = find(operand, all ? 0 : c);
      PVNET_TRY(source(p->source0 + static_cast<int>(i), operand[s], 0, channel, all ? 0 : 1));
    }
    c = end;
  }
  if (row - op.piece0 == op.n_pieces) return {};
  return wrong("pieces of an operand", op.n_pieces, row - op.piece0);
}

Status ReadsCheck::selected(const pv_op& op, const std::vector<Segment>& operand,
                            const std::vector<int>& index) {
  int row = op.piece0, at = 0;
  const int count = static_cast<int>(index.size());
  while (at < count) {
    const Segment* s = operand.data();
    int channel = index[static_cast<size_t>(at)];
    for (; channel >= s->c; ++s) channel -= s->c;
    int end = at + 1;
    const auto follows = [&](int i) {
      return i < count && i - at < s->c - channel &&
             index[static_cast<size_t>(i)] - index[static_cast<size_t>(at)] == i - at;
    };
    while (follows(end)) ++end;
    const pv_piece* p = nullptr;
    PVNET_TRY(piece(row, at, end - at, 1, &p));
    PVNET_TRY(source(p->source0, *s, 0, channel, 1));
    at = end, ++row;
  }
  if (row - op.piece0 == op.n_pieces) return {};
  return wrong("pieces of chosen channels", op.n_pieces, row - op.piece0);
}

Status ReadsCheck::patches(const pv_op& op, const PlanOp& of, int lo, bool folded) {
  const Dtype dtype = plan_.values[static_cast<size_t>(op.out_value)].dtype;
  const int most = folded ? 4 : PV_K_BYTES / static_cast<int>(element_bytes(dtype));
  int64_t row = op.patch0;
  int at = 0;
  for (const Segment& s : of.operands[0]) {
    const int first = std::max(lo, at) - at, end = std::min(lo + op.in_c, at + s.c) - at;
    for (int back = of.taps - 1; back >= 0 && first < end; --back) {
      for (int c = first; c < end; c += most, ++row) {
        if (row != patches_ || !has(program_.patches, row)) {
          return wrong("next patch", row, patches_);
        }
        const pv_patch& p = program_.patches[static_cast<size_t>(row)];
        if (p.value != s.value || p.c0 != c || p.channels != std::min(most, end - c)) {
          return wrong("patch " + std::to_string(row), "other channels", "the operand's");
        }
        ++patches_;
        PVNET_TRY(read(p.read, s, int64_t{back} * of.dilation));
      }
    }
    at += s.c;
  }
  if (row - op.patch0 == op.n_patches) return {};
  return wrong("patches of an operand", op.n_patches, row - op.patch0);
}

Status ReadsCheck::all_used() const {
  PVNET_TRY(segments_.all("segments"));
  PVNET_TRY(reads_.all("reads"));
  const bool all = sources_ == static_cast<int64_t>(program_.sources.size()) &&
                   pieces_ == static_cast<int64_t>(program_.pieces.size()) &&
                   patches_ == static_cast<int64_t>(program_.patches.size());
  return all ? Status() : wrong("sources, pieces or patches", "some of no use", "none");
}

}  // namespace pvnet::device
