// SPDX-License-Identifier: Apache-2.0
// Snapshot layout: Header, then per row its tick counter (int64), then per row its state floats.
// What nothing will ever read (halos, padding channels, slots that hold no firing) is zero in it,
// and is not believed when it comes back.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/firing.hpp"
#include "plan/hash.hpp"
#include "runtime/stream_impl.hpp"

namespace pvnet {
namespace {

struct Header {
  char magic[8];
  uint64_t fingerprint;
  uint64_t state_floats;
  uint32_t version;
  uint32_t batch;
  uint64_t checksum;  // of everything after the header
};
static_assert(sizeof(Header) == 40);

constexpr char kMagic[8] = {'p', 'v', 'n', 'e', 't', 's', 'n', 'p'};
constexpr uint32_t kVersion = 2;
constexpr int64_t kMaxTick = int64_t{1} << 60;  // a counter beyond it was never counted

// Of the header, its own field as zero, and of everything after it.
uint64_t checksum(Header h, const char* body, size_t n) {
  h.checksum = 0;
  return hash_bytes(hash_bytes(kHashSeed, &h, sizeof(h)), body, n);
}

// f(value, offset of the first float, floats) for every run of floats in a row's state that a later
// tick may read: the channels of each pixel of each slot that holds a firing.
template <class F>
void for_each_live_run(const Plan& plan, int64_t ticks, const F& f) {
  for (const Value& v : plan.values) {
    if (!v.persistent || ticks == 0) continue;
    const int64_t newest = firing_at(v.clock, ticks - 1, 0);
    const int64_t slots = std::min<int64_t>(newest + 1, v.depth);  // none before the origin
    for (int64_t slot = 0; slot < slots; ++slot) {
      const int64_t base = v.offset + slot * v.slot_stride + RowMemory::interior(v);
      const bool dense = v.pixel_stride == v.shape.c;
      for (int y = 0; y < v.shape.h; ++y) {
        const int64_t row = base + y * v.row_stride;
        if (dense) {
          f(v, row, int64_t{v.shape.w} * v.shape.c);
        } else {
          for (int x = 0; x < v.shape.w; ++x) f(v, row + x * v.pixel_stride, int64_t{v.shape.c});
        }
      }
    }
  }
}

// `to` has zeros everywhere else.
void copy_live(const Plan& plan, int64_t ticks, const float* from, float* to) {
  std::memset(to, 0, static_cast<size_t>(plan.state_floats) * sizeof(float));
  for_each_live_run(plan, ticks, [&](const Value&, int64_t at, int64_t n) {
    std::memcpy(to + at, from + at, static_cast<size_t>(n) * sizeof(float));
  });
}

// The first value that holds a NaN or an infinity where a tick would read it; nullptr: none.
const Value* non_finite(const Plan& plan, int64_t ticks, const float* state) {
  const Value* found = nullptr;
  for_each_live_run(plan, ticks, [&](const Value& v, int64_t at, int64_t n) {
    float sum = 0;  // x - x is 0 for finite x and NaN otherwise
    for (int64_t i = 0; i < n; ++i) sum += state[at + i] - state[at + i];
    if (found == nullptr && std::isnan(sum)) found = &v;
  });
  return found;
}

Status refuse(Code code, const std::string& what, const std::string& got,
              const std::string& expected, const char* cure) {
  return {code, "[Stream.restore] " + what + ": got " + got + ", expected " + expected + ". Do " +
                    cure + "; the stream is unchanged."};
}

}  // namespace

size_t Stream::snapshot_bytes() const {
  const Plan& p = *impl_->plan;
  const size_t row = sizeof(int64_t) + static_cast<size_t>(p.state_floats) * sizeof(float);
  return sizeof(Header) + row * static_cast<size_t>(p.options.batch);
}

Status Stream::snapshot(void* dst, size_t size_bytes) const {
  const Impl& s = *impl_;
  const CallMark::Turn guard(s.call);
  PVNET_TRY(guard.status("Stream.snapshot"));
  if (size_bytes != snapshot_bytes()) {
    return {Code::invalid_argument, "[Stream.snapshot] the buffer has the wrong size: got " +
                                        std::to_string(size_bytes) + " bytes, expected " +
                                        std::to_string(snapshot_bytes()) +
                                        ". Ask snapshot_bytes() first."};
  }
  char* out = static_cast<char*>(dst) + sizeof(Header);
  const char* const body = out;
  const size_t batch = s.rows.size();
  std::memcpy(out, s.ticks.data(), batch * sizeof(int64_t));
  out += batch * sizeof(int64_t);
  const auto row_floats = static_cast<size_t>(s.plan->state_floats);
  std::vector<float> live(row_floats);  // dst may lie anywhere
  for (size_t r = 0; r < batch; ++r) {
    copy_live(*s.plan, s.ticks[r], s.rows[r].state.data(), live.data());
    std::memcpy(out, live.data(), row_floats * sizeof(float));
    out += row_floats * sizeof(float);
  }
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof(kMagic));
  h.fingerprint = s.plan->fingerprint;
  h.state_floats = static_cast<uint64_t>(s.plan->state_floats);
  h.version = kVersion;
  h.batch = static_cast<uint32_t>(batch);
  h.checksum = checksum(h, body, static_cast<size_t>(out - body));
  std::memcpy(dst, &h, sizeof(h));
  return {};
}

Status Stream::restore(const void* src, size_t size_bytes) {
  Impl& s = *impl_;
  const CallMark::Turn guard(s.call);
  PVNET_TRY(guard.status("Stream.restore"));
  Header h;
  if (size_bytes < sizeof(h)) {
    return refuse(Code::file, "the snapshot is too short", std::to_string(size_bytes) + " bytes",
                  "at least " + std::to_string(sizeof(h)), "pass the bytes that snapshot() gave");
  }
  std::memcpy(&h, src, sizeof(h));
  if (std::memcmp(h.magic, kMagic, sizeof(kMagic)) != 0) {
    return refuse(Code::file, "these bytes are no snapshot", "another signature", "pvnetsnp",
                  "pass the bytes that snapshot() gave");
  }
  if (h.version != kVersion) {
    return refuse(Code::file, "the snapshot has another version", std::to_string(h.version),
                  std::to_string(kVersion), "use the version of pvnet that wrote it");
  }
  if (h.fingerprint != s.plan->fingerprint || h.batch != s.rows.size() ||
      h.state_floats != static_cast<uint64_t>(s.plan->state_floats)) {
    return refuse(
        Code::state, "the snapshot belongs to another plan",
        "plan " + std::to_string(h.fingerprint) + " batch " + std::to_string(h.batch),
        "plan " + std::to_string(s.plan->fingerprint) + " batch " + std::to_string(s.rows.size()),
        "restore into a stream of the same graph, weights, backend, isa and batch");
  }
  if (size_bytes != snapshot_bytes()) {
    return refuse(Code::file, "the snapshot is cut off", std::to_string(size_bytes) + " bytes",
                  std::to_string(snapshot_bytes()), "pass all the bytes that snapshot() gave");
  }
  const char* in = static_cast<const char*>(src) + sizeof(h);
  if (checksum(h, in, size_bytes - sizeof(h)) != h.checksum) {
    return refuse(Code::file, "the snapshot is damaged", "a wrong checksum",
                  "the one in its header", "take a new snapshot");
  }
  const size_t batch = s.rows.size();
  std::vector<int64_t> ticks(batch);
  std::memcpy(ticks.data(), in, batch * sizeof(int64_t));
  in += batch * sizeof(int64_t);
  const auto row_floats = static_cast<size_t>(s.plan->state_floats);
  std::vector<float> state(row_floats * batch);
  std::memcpy(state.data(), in, state.size() * sizeof(float));
  for (size_t r = 0; r < batch; ++r) {
    if (ticks[r] < 0 || ticks[r] > kMaxTick) {
      return refuse(Code::file, "the snapshot is damaged", "tick " + std::to_string(ticks[r]),
                    "a tick counter", "take a new snapshot");
    }
    const Value* bad = non_finite(*s.plan, ticks[r], state.data() + r * row_floats);
    if (bad != nullptr) {
      return refuse(Code::file, "the snapshot holds values that are not numbers",
                    "NaN or Inf of node '" + s.plan->graph.nodes()[bad->node].name + "' in row " +
                        std::to_string(r),
                    "finite values, for they would never leave the state again",
                    "take a snapshot before the stream went wrong, or reset that row");
    }
  }
  s.ticks = std::move(ticks);
  for (size_t r = 0; r < batch; ++r) {
    copy_live(*s.plan, s.ticks[r], state.data() + r * row_floats, s.rows[r].state.data());
  }
  return {};
}

}  // namespace pvnet
