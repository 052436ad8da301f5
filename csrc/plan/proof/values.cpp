// SPDX-License-Identifier: Apache-2.0
// Values: which node each belongs to, its geometry, its place in memory.
#include <algorithm>

#include "backends/backend.hpp"
#include "plan/proof/proof.hpp"

namespace pvnet::proof {
namespace {

// a * b + c for numbers that should not be negative; -1 where they are, or where 62 bits do not
// hold the result.
int64_t product(int64_t a, int64_t b, int64_t c = 0) {
  int64_t r = 0;
  if (a < 0 || b < 0 || c < 0 || __builtin_mul_overflow(a, b, &r)) return -1;
  if (__builtin_add_overflow(r, c, &r) || r >= (int64_t{1} << 62)) return -1;
  return r;
}

struct Room {  // bytes of an arena
  int64_t lo = 0, hi = 0;
  int value = -1;
};

class Values {
 public:
  explicit Values(Proof& proof) : p_(proof), plan_(proof.plan) {}

  Status run() {
    p_.value_of.assign(p_.nodes.size(), -1);
    for (size_t v = 0; v < plan_.values.size(); ++v) {
      PVNET_TRY(owner(v));
      PVNET_TRY(geometry(v));
      PVNET_TRY(memory(v));
    }
    for (size_t n = 0; n < p_.nodes.size(); ++n) {
      if (p_.value_of[n] >= 0 || !holds_memory(p_.nodes[n].op)) continue;
      return wrong("values of " + quoted(p_.nodes[n].name), "none that it computes", "one");
    }
    PVNET_TRY(arena("state", state_end_, plan_.state_bytes));
    PVNET_TRY(arena("scratch", scratch_end_, plan_.scratch_bytes));
    return rings_are_disjoint();
  }

 private:
  Proof& p_;
  const Plan& plan_;
  const Layout& layout_ = plan_.backend->layout;
  std::vector<Room> rings_;
  int64_t state_end_ = 0, scratch_end_ = 0;

  Status owner(size_t v) {
    const Value& value = plan_.values[v];
    if (value.node < 0 || value.node >= static_cast<int>(p_.nodes.size())) {
      return wrong("node of value " + std::to_string(v), std::to_string(value.node), "a node");
    }
    const Node& node = p_.nodes[static_cast<size_t>(value.node)];
    if (!holds_memory(node.op)) {
      return wrong("value of " + quoted(node.name), "one", "none, it holds no memory");
    }
    PVNET_TRY(form(v, node));
    if (!(value.shape == node.shape)) {
      return wrong("shape of " + quoted(node.name), text_of(value.shape), text_of(node.shape));
    }
    if (value.clock != node.clock) {
      return wrong("clock of the value of " + quoted(node.name), "another", "the node's");
    }
    return {};
  }

  Status form(size_t v, const Node& node) {
    const Value& value = plan_.values[v];
    const Quantization& q = p_.quantization;
    const bool first = value.domain == Domain::spatial &&
                       (q.active() ? value.dtype == q.computed(value.node).dtype
                                   : to_string(value.dtype) == plan_.options.dtype);
    if (!first && (!has_forms(plan_) || node.op == Op::input)) {
      return wrong("elements of the value of " + quoted(node.name), "others",
                   "pixels of " + plan_.options.dtype);
    }
    int& of = first ? p_.value_of[static_cast<size_t>(value.node)]
                    : p_.others.try_emplace({value.node, value.form()}, -1).first->second;
    if (of >= 0) return wrong("values of " + quoted(node.name) + " in one form", "two", "one");
    of = static_cast<int>(v);
    return {};
  }

  Status geometry(size_t v) const {
    const Value& a = plan_.values[v];
    const std::string name = p_.name(static_cast<int>(v));
    if (a.halo_h < 0 || a.halo_w < 0)
      return wrong("halo of " + name, "a negative one", "0 or more");
    if (!layout_.halo && (a.halo_h != 0 || a.halo_w != 0)) {
      return wrong("halo of " + name, "one", "none on this backend");
    }
    const int64_t element = element_bytes(a.dtype);
    // Who reads a narrow map proves that it can (plan/device/).
    const bool narrow = layout_.reads_narrow != nullptr && a.shape.c <= kNarrowChannels;
    const int64_t stored =
        narrow ? kNarrowChannels : layout_.pixel_elements(a.shape.c, a.dtype).value();
    if (a.pixel_stride < stored) {
      return wrong("pixel stride of " + name, std::to_string(a.pixel_stride),
                   "at least " + std::to_string(stored));
    }
    // Lines of a narrow frame are read as one piece.
    if (is_8_bit(a.dtype) && a.shape.c < kWideChannels && a.pixel_stride != a.shape.c) {
      return wrong("pixel stride of " + name, std::to_string(a.pixel_stride),
                   std::to_string(a.shape.c));
    }
    const int64_t row = product(a.shape.w + 2 * int64_t{a.halo_w}, a.pixel_stride);
    if (row < 0 || a.row_stride < row) {
      return wrong("row stride of " + name, std::to_string(a.row_stride), "room for every pixel");
    }
    const int64_t slot = product(product(a.shape.h + 2 * int64_t{a.halo_h}, a.row_stride), element);
    if (slot < 0 || a.slot_bytes < slot) {
      return wrong("bytes of a slot of " + name, std::to_string(a.slot_bytes),
                   "room for every row");
    }
    if (a.slot_bytes % element != 0) {
      return wrong("bytes of a slot of " + name, std::to_string(a.slot_bytes), "whole elements");
    }
    return {};
  }

  Status memory(size_t v) {
    const Value& a = plan_.values[v];
    const std::string name = p_.name(static_cast<int>(v));
    if (a.depth < 1) return wrong("ring depth of " + name, std::to_string(a.depth), "at least 1");
    if (!a.persistent && a.depth != 1) {
      return wrong("ring depth of scratch value " + name, std::to_string(a.depth), "1");
    }
    const int64_t end = product(a.depth, a.slot_bytes, a.offset);
    const int64_t room = a.persistent ? plan_.state_bytes : plan_.scratch_bytes;
    if (end < 0 || end > room) {
      return wrong("memory of " + name, end < 0 ? "no address" : std::to_string(end) + " bytes",
                   "at most " + std::to_string(room));
    }
    if (a.offset % element_bytes(a.dtype) != 0) {
      return wrong("offset of " + name, std::to_string(a.offset), "whole elements");
    }
    int64_t& last = a.persistent ? state_end_ : scratch_end_;
    last = std::max(last, end);
    if (a.persistent) rings_.push_back({a.offset, end, static_cast<int>(v)});
    return {};
  }

  // No more than somebody uses, and no more than an address can name.
  Status arena(const char* which, int64_t used, int64_t bytes) const {
    constexpr int64_t kSlack = 256;
    if (bytes != used) {
      return wrong(std::string("bytes of ") + which, std::to_string(bytes), std::to_string(used));
    }
    if (product(bytes + kSlack, plan_.options.batch) < 0) {
      return wrong(std::string("bytes of ") + which, "more than 62 bits", "fewer");
    }
    return {};
  }

  Status rings_are_disjoint() {
    std::sort(rings_.begin(), rings_.end(),
              [](const Room& a, const Room& b) { return a.lo < b.lo; });
    for (size_t i = 1; i < rings_.size(); ++i) {
      if (rings_[i].lo >= rings_[i - 1].hi) continue;
      return wrong(
          "ring memory of " + p_.name(rings_[i].value) + " and " + p_.name(rings_[i - 1].value),
          "an overlap", "none");
    }
    return {};
  }
};

}  // namespace

Status prove_values(Proof& proof) { return Values(proof).run(); }

}  // namespace pvnet::proof
