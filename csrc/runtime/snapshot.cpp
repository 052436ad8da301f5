// SPDX-License-Identifier: Apache-2.0
// Snapshot layout: Header, then per row its tick counter (int64), then per row what its engine
// saves. What nothing will ever read (halos, padding channels, slots that hold no firing) is zero
// in it, and is not believed when it comes back.
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "plan/hash.hpp"
#include "runtime/stream.hpp"

namespace pvnet {
namespace {

struct Header {
  char magic[8];
  uint64_t fingerprint;
  uint64_t state_bytes;  // of a row
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

Status refuse(Code code, const std::string& what, const std::string& got,
              const std::string& expected, const char* cure) {
  return {code, "[Stream.restore] " + what + ": got " + got + ", expected " + expected + ". " +
                    cure + "; the stream is unchanged."};
}

}  // namespace

size_t StreamCore::snapshot_bytes() const {
  const size_t row = sizeof(int64_t) + static_cast<size_t>(plan_->state_bytes);
  return sizeof(Header) + row * ticks_.size();
}

Status StreamCore::snapshot(void* dst, size_t size_bytes) const {
  const CallMark::Turn guard(call_);
  PVNET_TRY(guard.status("Stream.snapshot"));
  if (size_bytes != snapshot_bytes()) {
    return {Code::invalid_argument, "[Stream.snapshot] the buffer has the wrong size: got " +
                                        std::to_string(size_bytes) + " bytes, expected " +
                                        std::to_string(snapshot_bytes()) +
                                        ". Ask snapshot_bytes() first."};
  }
  char* out = static_cast<char*>(dst) + sizeof(Header);
  const char* const body = out;
  const size_t batch = ticks_.size();
  std::memcpy(out, ticks_.data(), batch * sizeof(int64_t));
  out += batch * sizeof(int64_t);
  for (size_t r = 0; r < batch; ++r) {
    PVNET_TRY(engine_->save(static_cast<int>(r), ticks_[r], out));
    out += plan_->state_bytes;
  }
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof(kMagic));
  h.fingerprint = plan_->fingerprint;
  h.state_bytes = static_cast<uint64_t>(plan_->state_bytes);
  h.version = kVersion;
  h.batch = static_cast<uint32_t>(batch);
  h.checksum = checksum(h, body, static_cast<size_t>(out - body));
  std::memcpy(dst, &h, sizeof(h));
  return {};
}

Status StreamCore::restore(const void* src, size_t size_bytes) {
  const CallMark::Turn guard(call_);
  PVNET_TRY(guard.status("Stream.restore"));
  Header h;
  if (size_bytes < sizeof(h)) {
    return refuse(Code::file, "the snapshot is too short", std::to_string(size_bytes) + " bytes",
                  "at least " + std::to_string(sizeof(h)), "Pass the bytes that snapshot() gave");
  }
  std::memcpy(&h, src, sizeof(h));
  if (std::memcmp(h.magic, kMagic, sizeof(kMagic)) != 0) {
    return refuse(Code::file, "these bytes are no snapshot", "another signature", "pvnetsnp",
                  "Pass the bytes that snapshot() gave");
  }
  if (h.version != kVersion) {
    return refuse(Code::file, "the snapshot has another version", std::to_string(h.version),
                  std::to_string(kVersion), "Use the version of pvnet that wrote it");
  }
  if (h.fingerprint != plan_->fingerprint || h.batch != ticks_.size() ||
      h.state_bytes != static_cast<uint64_t>(plan_->state_bytes)) {
    return refuse(
        Code::state, "the snapshot belongs to another plan",
        "plan " + std::to_string(h.fingerprint) + " batch " + std::to_string(h.batch),
        "plan " + std::to_string(plan_->fingerprint) + " batch " + std::to_string(ticks_.size()),
        "Restore into a stream of the same graph, weights, backend, isa and batch");
  }
  if (size_bytes != snapshot_bytes()) {
    return refuse(Code::file, "the snapshot is cut off", std::to_string(size_bytes) + " bytes",
                  std::to_string(snapshot_bytes()), "Pass all the bytes that snapshot() gave");
  }
  const char* in = static_cast<const char*>(src) + sizeof(h);
  if (checksum(h, in, size_bytes - sizeof(h)) != h.checksum) {
    return refuse(Code::file, "the snapshot is damaged", "a wrong checksum",
                  "the one in its header", "Take a new snapshot");
  }
  const size_t batch = ticks_.size();
  std::vector<int64_t> ticks(batch);
  std::memcpy(ticks.data(), in, batch * sizeof(int64_t));
  in += batch * sizeof(int64_t);
  const auto row_bytes = static_cast<size_t>(plan_->state_bytes);
  for (size_t r = 0; r < batch; ++r) {
    if (ticks[r] < 0 || ticks[r] > kMaxTick) {
      return refuse(Code::file, "the snapshot is damaged", "tick " + std::to_string(ticks[r]),
                    "a tick counter", "Take a new snapshot");
    }
    const Value* bad = engine_->not_finite(ticks[r], in + r * row_bytes);
    if (bad != nullptr) {
      return refuse(Code::file, "the snapshot holds values that are not numbers",
                    "NaN or Inf of node '" + plan_->graph.nodes()[bad->node].name + "' in row " +
                        std::to_string(r),
                    "finite values, for they would never leave the state again",
                    "Take a snapshot before the stream went wrong, or reset that row");
    }
  }
  ticks_ = std::move(ticks);
  for (size_t r = 0; r < batch; ++r) {
    PVNET_TRY(engine_->load(static_cast<int>(r), ticks_[r], in + r * row_bytes));
  }
  return {};
}

}  // namespace pvnet
