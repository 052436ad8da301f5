// SPDX-License-Identifier: Apache-2.0
// The lists of a schedule's supersteps, cut into chunks that any lane may take: first those of its
// own list, then those that other lanes have not come to. A lane that other programs keep off its
// CPU holds up nothing but the chunk that it has, and who is late finds its work done.
//
// The entries of a list are done one after the other, chunks of one entry at the same time. There
// are no barriers: whoever ends the last chunk of a superstep opens the next one. A chunk is taken
// by a compare-and-swap of the list's state, whose values do not come again within an hour. So a
// lane that comes late, even from an earlier tick, takes what is there now.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "plan/plan.hpp"

namespace pvnet {

class SharedLists {
 public:
  struct Chunk {
    TileRange range;
    int list = 0, pieces = 1;  // of the entry that it is a piece of
  };

  explicit SharedLists(const Plan& plan);

  // Opens the supersteps of a tick of the hyper-period; those of the tick before are closed.
  void open(int64_t schedule);
  // Whether a superstep is open: false once all of the tick is done.
  bool is_open() const { return open_.load(std::memory_order_acquire); }
  // A chunk for a lane; false: there is none now. Who takes one must end it, and may rely on all
  // that its list and earlier supersteps have made.
  bool take(int lane, Chunk& chunk);
  void end(const Chunk& chunk);

  // Chunks since the last call of this, and those taken from other lanes' lists. To be called
  // while no superstep is open.
  struct Counts {
    int64_t chunks = 0, taken_over = 0;
  };
  Counts take_counts();

  // Changes whenever a superstep opens, or the last one closes.
  uint32_t turn() const { return turn_.load(std::memory_order_acquire); }
  // Takes a chunk as soon as there is one, and sleeps after a while; false: the turn is no longer
  // this one.
  bool wait(int lane, uint32_t turn, Chunk& chunk);

 private:
  // A range of tiles in so many pieces, which begin at multiples of a unit.
  struct Entry {
    TileRange range;
    int unit = 1;
    uint8_t pieces = 1;
    bool last = false;  // of its list
    TileRange piece(int index) const;
  };
  // state: 28 bits that count the entries that were opened, 28 of the entry's index, 8 of its
  // pieces that were taken.
  struct alignas(64) List {
    std::atomic<uint64_t> state{0};
    std::atomic<uint32_t> ended{0};  // pieces of the entry
    std::atomic<uint32_t> chunks{0}, taken_over{0};
  };

  void add(const Plan& plan, const Superstep& superstep);
  static Entry entry_of(const Plan& plan, const TileRange& range);
  void open_superstep();
  static void open_entry(List& list, size_t entry);

  const int lanes_;
  std::vector<Entry> entries_;     // [0] has no pieces: no list is at it while it is open
  std::vector<uint32_t> firsts_;   // [superstep][lane]: entry that the list begins with; 0: none
  std::vector<size_t> schedules_;  // of every tick of the hyper-period its first superstep; the end
  std::vector<List> lists_;
  size_t superstep_ = 0, end_ = 0;  // of the tick; whose they are goes with the open superstep
  alignas(64) std::atomic<uint32_t> unfinished_{0};  // lists of the superstep
  alignas(64) std::atomic<uint32_t> turn_{0};
  std::atomic<bool> open_{false};
};

}  // namespace pvnet
