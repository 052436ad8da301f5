// SPDX-License-Identifier: Apache-2.0
#include "plan/place.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace pvnet {
namespace {

// Pairs of overlapping lives that the careful way may look at: some 0.1 s. Networks of a thousand
// values stay far below.
constexpr int64_t kMaxSteps = 4'000'000;

// Greedy by size: the largest value first, each at the lowest offset that is free over its
// lifetime. False when too many lives overlap for that.
bool place_largest_first(std::vector<Lifetime>& lives, int64_t& end) {
  std::vector<size_t> order(lives.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lives[a].size > lives[b].size; });
  int levels = 0;
  for (const Lifetime& life : lives) levels = std::max(levels, life.last + 1);
  std::vector<std::vector<size_t>> placed(static_cast<size_t>(levels));  // by level
  std::vector<std::pair<int64_t, int64_t>> taken;
  int64_t steps = 0;
  end = 0;
  for (const size_t i : order) {
    Lifetime& life = lives[i];
    taken.clear();
    for (int level = life.first; level <= life.last; ++level) {
      std::vector<size_t>& here = placed[static_cast<size_t>(level)];
      for (const size_t j : here) {
        // Of a life on several of these levels, the first counts.
        if (std::max(lives[j].first, life.first) != level) continue;
        taken.emplace_back(lives[j].offset, lives[j].offset + lives[j].size);
      }
      steps += 1 + static_cast<int64_t>(here.size());
      here.push_back(i);
    }
    if (steps > kMaxSteps) return false;
    std::sort(taken.begin(), taken.end());
    int64_t at = 0;
    for (const auto& [lo, hi] : taken) {
      if (at + life.size <= lo) break;
      at = std::max(at, hi);
    }
    life.offset = at;
    end = std::max(end, at + life.size);
  }
  return true;
}

// Free pieces of memory below `end`, joined with their neighbours.
class FreeList {
 public:
  int64_t end = 0;

  // The smallest piece that is large enough; else the end is moved.
  int64_t take(int64_t size) {
    const auto fit = by_size_.lower_bound({size, 0});
    if (fit != by_size_.end()) {
      const auto [length, offset] = *fit;
      remove(offset, length);
      if (length > size) add(offset + size, length - size);
      return offset;
    }
    int64_t offset = end;
    if (!by_offset_.empty()) {
      const auto [last, length] = *by_offset_.rbegin();
      if (last + length == end) {
        offset = last;
        remove(last, length);
      }
    }
    end = offset + size;
    return offset;
  }

  void give(int64_t offset, int64_t size) {
    auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.end() && next->first == offset + size) {
      size += next->second;
      remove(next->first, next->second);
    }
    auto before = by_offset_.lower_bound(offset);
    if (before != by_offset_.begin() && (--before)->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      remove(before->first, before->second);
    }
    add(offset, size);
  }

 private:
  std::map<int64_t, int64_t> by_offset_;           // -> size
  std::set<std::pair<int64_t, int64_t>> by_size_;  // size, offset

  void add(int64_t offset, int64_t size) {
    by_offset_.emplace(offset, size);
    by_size_.emplace(size, offset);
  }
  void remove(int64_t offset, int64_t size) {
    by_offset_.erase(offset);
    by_size_.erase({size, offset});
  }
};

// Level by level, as an allocator would.
int64_t place_in_time(std::vector<Lifetime>& lives) {
  std::vector<size_t> born(lives.size());
  std::iota(born.begin(), born.end(), size_t{0});
  std::vector<size_t> dying = born;
  std::stable_sort(born.begin(), born.end(), [&](size_t a, size_t b) {
    return lives[a].first != lives[b].first ? lives[a].first < lives[b].first
                                            : lives[a].size > lives[b].size;
  });
  std::stable_sort(dying.begin(), dying.end(),
                   [&](size_t a, size_t b) { return lives[a].last < lives[b].last; });
  FreeList list;
  size_t dead = 0;
  for (const size_t i : born) {
    for (; lives[dying[dead]].last < lives[i].first; ++dead) {
      list.give(lives[dying[dead]].offset, lives[dying[dead]].size);
    }
    lives[i].offset = list.take(lives[i].size);
  }
  return list.end;
}

}  // namespace

int64_t place(std::vector<Lifetime>& lives) {
  int64_t end = 0;
  return place_largest_first(lives, end) ? end : place_in_time(lives);
}

}  // namespace pvnet
