// SPDX-License-Identifier: Apache-2.0
// Snapshot layout: Header, then per row its tick counter (int64), then per row its state floats.
#include <cstring>

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
constexpr uint32_t kVersion = 1;
constexpr int64_t kMaxTick = int64_t{1} << 60;  // a counter beyond it was never counted

uint64_t checksum(const char* p, size_t n) {
  uint64_t h = 14695981039346656037ULL;
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = (h ^ word) * 1099511628211ULL;
    h ^= h >> 29;
  }
  for (; n > 0; ++p, --n) h = (h ^ static_cast<uint8_t>(*p)) * 1099511628211ULL;
  return h;
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
                                        ". Do ask snapshot_bytes() first."};
  }
  char* out = static_cast<char*>(dst) + sizeof(Header);
  const char* const body = out;
  const size_t batch = s.rows.size();
  std::memcpy(out, s.ticks.data(), batch * sizeof(int64_t));
  out += batch * sizeof(int64_t);
  const size_t row_bytes = static_cast<size_t>(s.plan->state_floats) * sizeof(float);
  for (const RowMemory& row : s.rows) {
    std::memcpy(out, row.state.data(), row_bytes);
    out += row_bytes;
  }
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof(kMagic));
  h.fingerprint = s.plan->fingerprint;
  h.state_floats = static_cast<uint64_t>(s.plan->state_floats);
  h.version = kVersion;
  h.batch = static_cast<uint32_t>(batch);
  h.checksum = checksum(body, static_cast<size_t>(out - body));
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
        "restore into a stream of the same graph, backend, isa and batch");
  }
  if (size_bytes != snapshot_bytes()) {
    return refuse(Code::file, "the snapshot is cut off", std::to_string(size_bytes) + " bytes",
                  std::to_string(snapshot_bytes()), "pass all the bytes that snapshot() gave");
  }
  const char* in = static_cast<const char*>(src) + sizeof(h);
  if (checksum(in, size_bytes - sizeof(h)) != h.checksum) {
    return refuse(Code::file, "the snapshot is damaged", "a wrong checksum",
                  "the one in its header", "take a new snapshot");
  }
  for (size_t r = 0; r < s.rows.size(); ++r) {
    int64_t tick;
    std::memcpy(&tick, in + r * sizeof(tick), sizeof(tick));
    if (tick < 0 || tick > kMaxTick) {
      return refuse(Code::file, "the snapshot is damaged", "tick " + std::to_string(tick),
                    "a tick counter", "take a new snapshot");
    }
  }
  std::memcpy(s.ticks.data(), in, s.rows.size() * sizeof(int64_t));
  in += s.rows.size() * sizeof(int64_t);
  const size_t row_bytes = static_cast<size_t>(s.plan->state_floats) * sizeof(float);
  for (RowMemory& row : s.rows) {
    std::memcpy(row.state.data(), in, row_bytes);
    in += row_bytes;
  }
  return {};
}

}  // namespace pvnet
