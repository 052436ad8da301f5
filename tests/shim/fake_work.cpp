// SPDX-License-Identifier: Apache-2.0
#include "shim/fake_work.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <set>
#include <utility>

namespace pvnet::cuda::fake {
namespace {

constexpr int kPoison = 0xFF;  // NaN in every dtype

bool overlap(const void* a, size_t a_bytes, const void* b, size_t b_bytes) {
  const auto* p = static_cast<const std::byte*>(a);
  const auto* q = static_cast<const std::byte*>(b);
  return p < q + b_bytes && q < p + a_bytes;
}

bool is_ready(const Piece& piece) {
  return std::all_of(piece.after.begin(), piece.after.end(),
                     [](const PiecePtr& p) { return p->done; });
}

// Whether its kernel may run up to its wait.
bool may_start_early(const Piece& piece) {
  if (!piece.work.launch.early || piece.running != nullptr || piece.after.size() != 1) return false;
  const Piece& before = *piece.after[0];
  return before.work.kind == Work::Kind::kernel && !before.done &&
         (is_ready(before) || before.running != nullptr);
}

bool is_unchanged(const Piece& piece) {
  return std::memcmp(piece.bytes.data(), piece.work.from, piece.work.bytes) == 0;
}

}  // namespace

void Pool::seed(uint64_t seed) {
  seed_ = seed;
  random_.seed(seed);
}

PiecePtr Pool::start(const Work& work, std::vector<PiecePtr> after, size_t queue, bool from_host,
                     bool to_host, int64_t begin_ns, int64_t cost_ns) {
  auto piece = std::make_shared<Piece>();
  piece->work = work;
  piece->after = std::move(after);
  piece->number = count_++;
  piece->queue = queue;
  piece->from_host = from_host;
  piece->to_host = to_host;
  for (const PiecePtr& p : piece->after) begin_ns = std::max(begin_ns, p->finish_ns);
  piece->finish_ns = begin_ns + cost_ns;
  if (from_host || to_host) {
    piece->bytes.resize(work.bytes);
    unseen_.push_back(piece);
  }
  if (from_host) std::memcpy(piece->bytes.data(), work.from, work.bytes);
  if (to_host) std::memset(work.to, kPoison, work.bytes);
  waiting_.push_back(piece);
  return piece;
}

// A cuda_stream is quick, slow or very slow for a while: work that comes long after other work can
// only then be late, or early.
double Pool::weight(const Piece& piece) const {
  constexpr double kWeights[] = {1, 1.0 / 32, 1.0 / 1024};
  constexpr uint64_t kWhile = 32;  // pieces
  uint64_t h = seed_ * 0x9E3779B97F4A7C15ULL + piece.queue * 0xC2B2AE3D27D4EB4FULL +
               piece.number / kWhile * 0x165667B19E3779F9ULL;
  h ^= h >> 29;
  h *= 0xBF58476D1CE4E5B9ULL;
  h ^= h >> 32;
  return kWeights[h % 3];
}

void Pool::run_random() {
  std::vector<size_t> able;
  std::vector<double> weights;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    const Piece& piece = *waiting_[i];
    if (!is_ready(piece) && !may_start_early(piece)) continue;
    able.push_back(i);
    weights.push_back(weight(piece));
  }
  if (able.empty()) return;
  const size_t chosen =
      able[std::discrete_distribution<size_t>(weights.begin(), weights.end())(random_)];
  const PiecePtr piece = waiting_[chosen];
  if (!is_ready(*piece)) return run_kernel(*piece, true);
  waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(chosen));
  run(*piece);
  piece->done = true;
}

void Pool::run_some() {
  for (uint64_t n = random_() % 8; n > 0 && !waiting_.empty(); --n) run_random();
}
void Pool::run_until(const PiecePtr& piece) {
  while (!piece->done) run_random();
}
void Pool::run_all() {
  while (!waiting_.empty()) run_random();
}

void Pool::run(Piece& piece) {
  switch (piece.work.kind) {
    case Work::Kind::copy:
      return run_copy(piece);
    case Work::Kind::fill:
      std::memset(piece.work.to, piece.work.byte, piece.work.bytes);
      return;
    case Work::Kind::kernel:
      return run_kernel(piece, false);
    default:
      return;
  }
}

void Pool::run_kernel(Piece& piece, bool only_start) {
  try {
    if (piece.running == nullptr) piece.running = kernels_.make(piece.work.launch);
    only_start ? piece.running->start() : piece.running->finish();
  } catch (const std::exception& e) {
    report_(std::string("a kernel failed: ") + e.what());
  }
  if (!only_start) piece.running.reset();
}

void Pool::run_copy(Piece& piece) {
  if (piece.from_host && !is_unchanged(piece)) {
    report_("host memory was written before the copy out of it had run");
  }
  void* to = piece.to_host ? piece.bytes.data() : piece.work.to;
  std::memmove(to, piece.work.from, piece.work.bytes);
}

void Pool::see(const PiecePtr& piece) {
  std::vector<PiecePtr> stack = {piece};
  while (!stack.empty()) {
    const PiecePtr p = std::move(stack.back());
    stack.pop_back();
    if (p->seen) continue;
    p->seen = true;
    stack.insert(stack.end(), p->after.begin(), p->after.end());
    p->after.clear();
  }
  std::erase_if(unseen_, [&](const PiecePtr& p) {
    if (!p->seen) return false;
    if (p->from_host && !is_unchanged(*p)) {
      report_("host memory was written before the host knew that the copy out of it had run");
    }
    if (p->to_host) std::memcpy(p->work.to, p->bytes.data(), p->work.bytes);
    return true;
  });
}

void Pool::forget(const void* memory, size_t bytes, bool checks) {
  std::erase_if(unseen_, [&](const PiecePtr& p) {
    const void* host = p->from_host ? p->work.from : p->work.to;
    if (!overlap(host, p->work.bytes, memory, bytes)) return false;
    if (checks) report_("pinned memory was given back while a copy was under way");
    return true;
  });
}

bool is_before(const PiecePtr& piece, const PiecePtr& last) {
  std::vector<PiecePtr> stack = {last};
  std::set<const Piece*> visited;
  while (!stack.empty()) {
    const PiecePtr p = std::move(stack.back());
    stack.pop_back();
    if (p == nullptr || p->number < piece->number || !visited.insert(p.get()).second) continue;
    if (p == piece) return true;
    stack.insert(stack.end(), p->after.begin(), p->after.end());
  }
  return false;
}

}  // namespace pvnet::cuda::fake
