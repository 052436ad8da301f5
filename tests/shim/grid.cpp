// SPDX-License-Identifier: Apache-2.0
#include "grid.hpp"

#include <algorithm>
#include <mutex>
#include <numeric>

namespace shim {
namespace {

constexpr size_t kBlocksWithRoom = 64;

std::mutex& device() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

}  // namespace

Grid::Grid(Launch launch) : launch_(std::move(launch)) {
  const Launch& l = launch_;
  if (l.blocks < 1) throw Error("[shim] a launch without blocks.");
  if (l.threads < 1 || l.threads > 1024 || l.threads % kWarpLanes != 0) {
    throw Error("[shim] a block of " + std::to_string(l.threads) + " threads.");
  }
  if (l.shared_bytes > kMostSharedBytes) {
    throw Error("[shim] a block with " + std::to_string(l.shared_bytes) +
                " bytes of shared memory.");
  }
  work_.body = launch_.body;
  work_.threads = l.threads;
  work_.shared_bytes = l.shared_bytes;
  work_.must_wait = l.programmatic;
  waiting_.resize(l.blocks);
  std::iota(waiting_.begin(), waiting_.end(), 0u);
  const std::lock_guard lock(device());
  random_order.shuffle(waiting_);
}

Grid::~Grid() {
  const std::lock_guard lock(device());
  started_.clear();
}

void Grid::enter() const {
  blockDim = {static_cast<unsigned>(launch_.threads), 1, 1};
  gridDim = {static_cast<unsigned>(launch_.blocks), 1, 1};
}

void Grid::start() {
  const std::lock_guard lock(device());
  enter();
  while (!waiting_.empty() && started_.size() < kBlocksWithRoom) {
    started_.push_back(std::make_unique<Block>(work_));
    started_.back()->begin(waiting_.back());
    waiting_.pop_back();
    if (started_.back()->run(false)) started_.pop_back();
  }
}

void Grid::finish() {
  const std::lock_guard lock(device());
  enter();
  for (const std::unique_ptr<Block>& b : started_) b->run(true);
  started_.clear();
  if (!waiting_.empty()) {
    Block one(work_);
    for (const unsigned index : waiting_) {
      one.begin(index);
      one.run(true);
    }
    waiting_.clear();
  }
  work_.late_stores.land();
}

void run(Launch launch) { Grid(std::move(launch)).finish(); }

void run_early(std::vector<Launch> launches) {
  std::unique_ptr<Grid> before;
  for (Launch& l : launches) {
    auto grid = std::make_unique<Grid>(std::move(l));
    grid->start();
    if (before != nullptr) before->finish();
    before = std::move(grid);
  }
  if (before != nullptr) before->finish();
}

}  // namespace shim
