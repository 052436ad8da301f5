// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/shared_lists.hpp"

#include <algorithm>

#include "backends/backend.hpp"
#include "backends/kernel_api.hpp"
#include "plan/level.hpp"
#include "plan/op_params.hpp"
#include "runtime/cpu/spin.hpp"

namespace pvnet {
namespace {

// Of a list's entry: enough that nobody waits long for the last one, few enough that what a call of
// a kernel costs does not count.
constexpr int kPieces = 4;
constexpr double kShortest = 4;  // piece, in barriers
constexpr int kTakenBits = 8, kEntryBits = 28, kCountShift = kTakenBits + kEntryBits;
constexpr uint64_t kTaken = (uint64_t{1} << kTakenBits) - 1;
constexpr uint64_t kEntry = (uint64_t{1} << kEntryBits) - 1;

size_t index_of(uint64_t state) { return static_cast<size_t>(state >> kTakenBits & kEntry); }

// Tiles that are computed of one transformed input, which every piece transforms anew.
int unit_of(const OpParams& params) {
  if (params.op != Op::conv3d || tile_size(params.conv.algorithm) == 0) return 1;
  return (params.conv.out_c + kTransformedUnit - 1) / kTransformedUnit;
}

}  // namespace

TileRange SharedLists::Entry::piece(int index) const {
  const int64_t tiles = range.hi - range.lo;
  const auto begin = [&](int i) {
    const int at = range.lo + static_cast<int>(tiles * i / pieces);
    return i == pieces ? range.hi : std::max(range.lo, at / unit * unit);
  };
  return {range.op, begin(index), begin(index + 1)};
}

SharedLists::Entry SharedLists::entry_of(const Plan& plan, const TileRange& range) {
  const PlanOp& op = plan.ops[range.op];
  const int tiles = range.hi - range.lo;
  const double barriers = op.cost * tiles / op.tiles / barrier_of(plan);
  Entry entry{range, unit_of(*op.params), 1, false};
  int most = std::min(kPieces, tiles / entry.unit);
  if (most < 2) {  // halves of one unit: more would transform more than they compute
    entry.unit = 1;
    most = std::min(2, tiles);
  }
  entry.pieces = static_cast<uint8_t>(std::clamp(static_cast<int>(barriers / kShortest), 1, most));
  return entry;
}

SharedLists::SharedLists(const Plan& plan)
    : lanes_(plan.options.lanes), lists_(static_cast<size_t>(lanes_)) {
  entries_.push_back({{}, 1, 0, true});
  for (const TickSchedule& tick : plan.schedule) {
    schedules_.push_back(firsts_.size() / static_cast<size_t>(lanes_));
    for (const Superstep& superstep : tick.supersteps) add(plan, superstep);
  }
  schedules_.push_back(firsts_.size() / static_cast<size_t>(lanes_));
}

void SharedLists::add(const Plan& plan, const Superstep& superstep) {
  const auto is_empty = [](const auto& list) { return list.empty(); };
  if (std::all_of(superstep.lanes.begin(), superstep.lanes.end(), is_empty)) return;
  for (const auto& list : superstep.lanes) {
    firsts_.push_back(list.empty() ? 0 : static_cast<uint32_t>(entries_.size()));
    for (const TileRange& range : list) entries_.push_back(entry_of(plan, range));
    if (!list.empty()) entries_.back().last = true;
  }
}

void SharedLists::open(int64_t schedule) {
  superstep_ = schedules_[static_cast<size_t>(schedule)];
  end_ = schedules_[static_cast<size_t>(schedule) + 1];
  open_.store(superstep_ < end_, std::memory_order_relaxed);
  open_superstep();
}

void SharedLists::open_entry(List& list, size_t entry) {
  const uint64_t count = (list.state.load(std::memory_order_relaxed) >> kCountShift) + 1;
  list.state.store(count << kCountShift | static_cast<uint64_t>(entry) << kTakenBits,
                   std::memory_order_release);
}

// Lists of this superstep may be at work, or even be done, while others are still being opened.
void SharedLists::open_superstep() {
  if (superstep_ < end_) {
    const uint32_t* const firsts = &firsts_[superstep_ * static_cast<size_t>(lanes_)];
    const auto none = std::count(firsts, firsts + lanes_, 0U);
    unfinished_.store(static_cast<uint32_t>(lanes_ - none), std::memory_order_relaxed);
    for (int lane = 0; lane < lanes_; ++lane) {
      if (firsts[lane] != 0) open_entry(lists_[static_cast<size_t>(lane)], firsts[lane]);
    }
  } else {
    open_.store(false, std::memory_order_release);
  }
  turn_.fetch_add(1, std::memory_order_release);
  turn_.notify_all();
}

SharedLists::Counts SharedLists::take_counts() {
  Counts counts;
  for (List& list : lists_) {
    counts.chunks += list.chunks.exchange(0, std::memory_order_relaxed);
    counts.taken_over += list.taken_over.exchange(0, std::memory_order_relaxed);
  }
  return counts;
}

bool SharedLists::take(int lane, Chunk& chunk) {
  for (int i = 0; i < lanes_; ++i) {
    const int at = (lane + i) % lanes_;
    List& list = lists_[static_cast<size_t>(at)];
    uint64_t state = list.state.load(std::memory_order_acquire);
    for (;;) {
      const Entry& entry = entries_[index_of(state)];
      const auto taken = static_cast<int>(state & kTaken);
      if (taken >= entry.pieces) break;
      if (list.state.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel,
                                           std::memory_order_acquire)) {
        chunk = {entry.piece(taken), at, entry.pieces};
        if (i > 0) list.taken_over.fetch_add(1, std::memory_order_relaxed);
        return true;
      }
    }
  }
  return false;
}

bool SharedLists::wait(int lane, uint32_t turn, Chunk& chunk) {
  constexpr int kRelaxed = 8;  // between two looks, for lines that are looked at are slow to change
  bool taken = false;
  const bool changed = spin_until([&] {
    for (int i = 0; i < kRelaxed; ++i) relax();
    if (this->turn() != turn) return true;
    taken = take(lane, chunk);
    return taken;
  });
  if (!changed) turn_.wait(turn, std::memory_order_acquire);
  return taken;
}

void SharedLists::end(const Chunk& chunk) {
  List& list = lists_[static_cast<size_t>(chunk.list)];
  const auto pieces = static_cast<uint32_t>(chunk.pieces);
  if (list.ended.fetch_add(1, std::memory_order_acq_rel) + 1 < pieces) return;
  list.ended.store(0, std::memory_order_relaxed);
  const uint32_t chunks = list.chunks.load(std::memory_order_relaxed);
  list.chunks.store(chunks + pieces, std::memory_order_relaxed);
  const size_t entry = index_of(list.state.load(std::memory_order_relaxed));
  if (!entries_[entry].last) return open_entry(list, entry + 1);
  if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  ++superstep_;
  open_superstep();
}

}  // namespace pvnet
