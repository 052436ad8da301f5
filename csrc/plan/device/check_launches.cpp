// SPDX-License-Identifier: Apache-2.0
// Launch lists: every tile of what is due is made once, and launches without an order do not meet
// in memory. The tables are proved; what they say of slots is worked out as the device does it.
#include <algorithm>
#include <map>

#include "kernels/conv/shared_bytes.h"
#include "plan/device/checks.hpp"

namespace pvnet::device {
namespace {

constexpr int64_t kFar = int64_t{1} << 40;  // ticks: everything has begun

struct Room {  // elements of a row's memory
  int64_t lo = 0, hi = 0;
  bool meets(const Room& other) const { return lo < other.hi && other.lo < hi; }
};

int64_t pieces(int64_t n, int64_t of) { return (n + of - 1) / of; }

// Which launches must have ended before one begins.
class Order {
 public:
  explicit Order(const std::vector<Launch>& launches)
      : words_((launches.size() + 63) / 64), before_(launches.size() * words_, 0) {
    for (size_t i = 0; i < launches.size(); ++i) {
      for (const int a : launches[i].after) {
        const auto b = static_cast<size_t>(a);
        before_[i * words_ + b / 64] |= uint64_t{1} << (b % 64);
        for (size_t w = 0; w < words_; ++w) before_[i * words_ + w] |= before_[b * words_ + w];
      }
    }
  }
  bool before(int a, int b) const {
    const auto i = static_cast<size_t>(a);
    return (before_[static_cast<size_t>(b) * words_ + i / 64] >> (i % 64) & 1u) != 0;
  }

 private:
  size_t words_;
  std::vector<uint64_t> before_;
};

class Launches {
 public:
  Launches(const Plan& plan, const Program& program, const LaunchList& list)
      : plan_(plan), program_(program), list_(list), launch_of_(program.ops.size(), -1) {}

  Status run() {
    if (list_.phase < -1 || list_.phase >= plan_.hyper_period) {
      return wrong("phase of a launch list", list_.phase, plan_.hyper_period - 1);
    }
    PVNET_TRY(cut());
    PVNET_TRY(tiles());
    PVNET_TRY(kinds());
    for (int64_t p = 0; p < plan_.hyper_period; ++p) {
      if (list_.phase < 0 || list_.phase == p)
        PVNET_TRY(hazards(kFar / plan_.hyper_period * plan_.hyper_period + p));
    }
    return {};
  }

 private:
  const Plan& plan_;
  const Program& program_;
  const LaunchList& list_;
  std::vector<int> launch_of_;  // [op]

  const PlanOp& of(size_t op) const { return plan_.ops[static_cast<size_t>(program_.plan_op[op])]; }
  bool due(size_t op, int64_t tick) const {
    const Clock& c = of(op).clock;
    return ((tick - c.origin) % c.period + c.period) % c.period == 0;
  }

  // Launches lie one behind the other, and wait for earlier ones.
  Status cut() const {
    int64_t next = 0;
    for (size_t i = 0; i < list_.launches.size(); ++i) {
      const Launch& l = list_.launches[i];
      if (l.first_tile != next || l.tiles < 1) {
        return wrong("first tile of a launch", l.first_tile, next);
      }
      next += l.tiles;
      for (const int a : l.after) {
        if (a >= 0 && a < static_cast<int>(i)) continue;
        return wrong("launch to wait for", a, static_cast<int64_t>(i) - 1);
      }
    }
    if (next == static_cast<int64_t>(list_.tiles.size())) return {};
    return wrong("tiles of all launches", next, static_cast<int64_t>(list_.tiles.size()));
  }

  Status tiles() {
    std::vector<int64_t> first(program_.ops.size() + 1, 0);  // number of an op's first tile
    for (size_t i = 0; i < program_.ops.size(); ++i) {
      const pv_op& op = program_.ops[i];
      const bool is_due = list_.phase < 0 || due(i, list_.phase);
      const int64_t all = pieces(op.out_h, op.tile_h) * pieces(op.out_w, op.tile_w) *
                          pieces(op.out_c, op.tile_c) * op.splits * plan_.options.batch;
      first[i + 1] = first[i] + (is_due ? all : 0);
    }
    std::vector<bool> made(static_cast<size_t>(first.back()), false);
    for (size_t l = 0; l < list_.launches.size(); ++l) {
      const Launch& launch = list_.launches[l];
      for (int t = launch.first_tile; t < launch.first_tile + launch.tiles; ++t) {
        PVNET_TRY(tile(list_.tiles[static_cast<size_t>(t)], static_cast<int>(l), first, made));
      }
    }
    if (std::find(made.begin(), made.end(), false) == made.end()) return {};
    return wrong("tiles of an operation", "some that nobody makes", "none");
  }

  Status tile(const pv_tile& t, int launch, const std::vector<int64_t>& first,
              std::vector<bool>& made) {
    if (t.op < 0 || t.op >= static_cast<int>(program_.ops.size())) {
      return wrong("operation of a tile", t.op, static_cast<int64_t>(program_.ops.size()) - 1);
    }
    const pv_op& op = program_.ops[static_cast<size_t>(t.op)];
    const int64_t down = pieces(op.out_h, op.tile_h), across = pieces(op.out_w, op.tile_w);
    const int64_t blocks = pieces(op.out_c, op.tile_c);
    const bool inside = t.row >= 0 && t.row < plan_.options.batch && t.y >= 0 && t.y < down &&
                        t.x >= 0 && t.x < across && t.c_block >= 0 && t.c_block < blocks &&
                        t.split >= 0 && t.split < op.splits;
    if (!inside) return wrong("a tile", "outside of its operation", "inside");
    const int64_t number =
        first[static_cast<size_t>(t.op)] +
        (((t.row * down + t.y) * across + t.x) * blocks + t.c_block) * op.splits + t.split;
    if (number >= first[static_cast<size_t>(t.op) + 1] || made[static_cast<size_t>(number)]) {
      return wrong("a tile", "made twice, or not due", "made once");
    }
    made[static_cast<size_t>(number)] = true;
    int& of = launch_of_[static_cast<size_t>(t.op)];
    if (of >= 0 && of != launch) return wrong("launches of an operation", 2, 1);
    of = launch;
    return {};
  }

  // What a launch says of itself.
  Status kinds() const {
    std::vector<int> shared(list_.launches.size(), 0);
    std::vector<int> stage(list_.launches.size(), -2);
    std::map<std::pair<int, int>, int> seen;  // launch -> what all of it has in common
    for (size_t i = 0; i < program_.ops.size(); ++i) {
      if (launch_of_[i] < 0) continue;
      const auto l = static_cast<size_t>(launch_of_[i]);
      const pv_op& op = program_.ops[i];
      if (op.kind == PV_CONV && op.plain == 0) {
        shared[l] = std::max(shared[l], int{pv_conv_shared_bytes(&op)});
      }
      stage[l] = stage[l] == -2 || stage[l] == of(i).stage ? of(i).stage : -1;
      if (list_.launches[l].rare != (pv_is_rare(&op) != 0)) {
        return wrong("kernel of a launch", list_.launches[l].rare, pv_is_rare(&op));
      }
      const auto [it, added] = seen.try_emplace({launch_of_[i], 0}, key(i));
      if (!added && it->second != key(i)) {
        return wrong("operations of a launch", "of several kinds", to_string(list_.gather));
      }
    }
    for (size_t l = 0; l < list_.launches.size(); ++l) {
      if (list_.launches[l].shared_bytes != shared[l]) {
        return wrong("shared memory of a launch", list_.launches[l].shared_bytes, shared[l]);
      }
      if (list_.launches[l].stage != stage[l]) {
        return wrong("stage of a launch", list_.launches[l].stage, stage[l]);
      }
    }
    return {};
  }
  // What operations of one launch have in common.
  int key(size_t op) const {
    switch (list_.gather) {
      case Gather::op:
        return program_.plan_op[op];
      case Gather::group:
        return of(op).group;
      case Gather::wave:
        return of(op).level;
      default:
        return 0;
    }
  }

  Room slot(int value, int64_t firing) const {
    const pvnet_device_value& v = program_.values[static_cast<size_t>(value)];
    const int64_t at = pvnet_device_slot(&v, firing);
    return {at, at + v.slot_stride};
  }

  struct Touch {
    Room room;
    int launch;
    int value;
    int64_t firing;
    bool writes;
  };

  void add_read(int read, int launch, int64_t tick, std::vector<Touch>& touches) const {
    const pv_read& r = program_.reads[static_cast<size_t>(read)];
    const pvnet_device_segment& s = program_.segments[static_cast<size_t>(r.segment)];
    const int64_t firing = pvnet_device_firing(&s, tick, r.taps_back);
    touches.push_back({slot(s.value, firing), launch, s.value, firing, false});
  }

  // All that is touched in a tick, by anybody that is due.
  std::vector<Touch> touches_at(int64_t tick) const {
    std::vector<Touch> touches;
    for (size_t i = 0; i < program_.ops.size(); ++i) {
      if (!due(i, tick)) continue;
      const pv_op& op = program_.ops[i];
      const int launch = launch_of_[i];
      const Clock& c = of(i).clock;
      const int64_t firing = (tick - c.origin) / c.period;
      touches.push_back({slot(op.out_value, firing), launch, op.out_value, firing, true});
      for (int q = 0; q < op.n_patches; ++q) {
        add_read(program_.patches[static_cast<size_t>(op.patch0 + q)].read, launch, tick, touches);
      }
      for (int k = 0; k < op.n_pieces; ++k) {
        const pv_piece& piece = program_.pieces[static_cast<size_t>(op.piece0 + k)];
        for (int s = 0; s < piece.n_sources; ++s) {
          add_read(program_.sources[static_cast<size_t>(piece.source0 + s)].read, launch, tick,
                   touches);
        }
      }
    }
    return touches;
  }

  // Reads of a firing come behind its write, and before the memory is another's; writes of one
  // memory by two values leave no doubt whose it is at a read.
  Status hazards(int64_t tick) const {
    const Order order(list_.launches);
    std::vector<Touch> touches = touches_at(tick);
    std::sort(touches.begin(), touches.end(), [](const Touch& a, const Touch& b) {
      return a.room.lo != b.room.lo ? a.room.lo < b.room.lo : a.writes > b.writes;
    });
    std::vector<Touch> open;
    for (const Touch& t : touches) {
      std::erase_if(open, [&](const Touch& o) { return o.room.hi <= t.room.lo; });
      for (const Touch& o : open) {
        if (o.room.meets(t.room) && (o.writes || t.writes)) PVNET_TRY(pair(order, o, t));
      }
      const bool seen = std::any_of(open.begin(), open.end(), [&](const Touch& o) {
        return o.launch == t.launch && o.value == t.value && o.firing == t.firing &&
               o.writes == t.writes;
      });
      if (!seen) open.push_back(t);
    }
    return scratch(order, touches);
  }

  Status pair(const Order& order, const Touch& a, const Touch& b) const {
    if (a.value == b.value && a.firing == b.firing) {
      if (a.writes && b.writes) return {};  // groups of one convolution
      const Touch& write = a.writes ? a : b;
      const Touch& read = a.writes ? b : a;
      if (order.before(write.launch, read.launch)) return {};
      return wrong("launches of a write and its read", "without an order", "one");
    }
    if (order.before(a.launch, b.launch) || order.before(b.launch, a.launch)) return {};
    return wrong("launches that meet in memory", "without an order", "one");
  }

  // Between the write of a scratch value and its reads no other value is written there.
  Status scratch(const Order& order, const std::vector<Touch>& touches) const {
    std::map<int, const Touch*> writes;
    for (const Touch& t : touches) {
      if (t.writes) writes[t.value] = &t;
    }
    std::vector<const Touch*> by_place;
    for (const auto& [value, t] : writes) {
      if (program_.values[static_cast<size_t>(value)].persistent == 0) by_place.push_back(t);
    }
    for (const Touch& read : touches) {
      if (read.writes) continue;
      const auto own = writes.find(read.value);
      const bool of_tick = own != writes.end() && own->second->firing == read.firing;
      for (const Touch* other : by_place) {
        if (other->value == read.value || !other->room.meets(read.room)) continue;
        // After the read, or before what the read finds was written.
        if (order.before(read.launch, other->launch)) continue;
        if (of_tick && order.before(other->launch, own->second->launch)) continue;
        return wrong("scratch memory of a value", "written before it is read", "after that");
      }
    }
    return {};
  }
};

}  // namespace

Status check(const Plan& plan, const Program& program, const LaunchList& list) {
  return Launches(plan, program, list).run();
}

}  // namespace pvnet::device
