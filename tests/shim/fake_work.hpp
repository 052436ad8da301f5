// SPDX-License-Identifier: Apache-2.0
// What a machine for tests has to do: pieces of work. They run when the host asks for a result and
// no sooner, in any order that their dependencies allow, chosen by a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/cuda/machine.hpp"

namespace pvnet::cuda::fake {

struct FakeGraph;

// What a piece of work does; graphs keep it and start it many times.
struct Work {
  enum class Kind : uint8_t { none, copy, fill, kernel, graph };
  Kind kind = Kind::none;
  void* to = nullptr;
  const void* from = nullptr;
  size_t bytes = 0;
  int byte = 0;
  KernelLaunch launch = {};
  std::shared_ptr<const FakeGraph> graph = {};
};

// A graph that is built, captured or ready to run; `after` counts nodes.
struct FakeGraph {
  struct Node {
    Work work;
    std::vector<size_t> after;
  };
  std::vector<Node> nodes;
};

// A kernel under way. What it may do before it waits for the launch in front of it, start() does.
class Running {
 public:
  virtual ~Running() = default;
  virtual void start() = 0;
  virtual void finish() = 0;  // all, or all else
};

// What runs kernels, and what it knows of the device's memory.
class Kernels {
 public:
  virtual ~Kernels() = default;
  virtual std::unique_ptr<Running> make(const KernelLaunch& launch) = 0;  // throws std::exception
  virtual void memory_added(const void*, size_t) {}
  virtual void memory_removed(const void*) {}
};

// Work that was started. Host memory that it writes shows the result when the host has seen that it
// is done, and host memory that it reads must not change before then.
struct Piece {
  Work work;
  std::vector<std::shared_ptr<Piece>> after;
  size_t number = 0;
  size_t queue = 0;                  // number of the cuda_stream
  std::unique_ptr<Running> running;  // started early
  bool done = false;
  bool seen = false;             // by the host
  std::vector<std::byte> bytes;  // on their way from or to host memory
  bool from_host = false, to_host = false;
  int64_t finish_ns = 0;  // by the machine's clock
};
using PiecePtr = std::shared_ptr<Piece>;

class Pool {
 public:
  using Report = std::function<void(const std::string&)>;

  Pool(Kernels& kernels, Report report) : kernels_(kernels), report_(std::move(report)) {}

  void seed(uint64_t seed);
  PiecePtr start(const Work& work, std::vector<PiecePtr> after, size_t queue, bool from_host,
                 bool to_host, int64_t begin_ns, int64_t cost_ns);
  void run_some();
  void run_until(const PiecePtr& piece);
  void run_all();
  // The host learns that this, and all in front of it, is done.
  void see(const PiecePtr& piece);
  // The host gives memory back. checks: nothing may be under way to or from it.
  void forget(const void* memory, size_t bytes, bool checks);

 private:
  void run(Piece& piece);
  void run_kernel(Piece& piece, bool only_start);
  void run_copy(Piece& piece);
  void run_random();
  double weight(const Piece& piece) const;

  Kernels& kernels_;
  Report report_;
  uint64_t seed_ = 0;
  std::mt19937_64 random_;
  size_t count_ = 0;
  std::vector<PiecePtr> waiting_;
  std::vector<PiecePtr> unseen_;  // those that touch host memory
};

// Whether `piece` is `last`, or in front of it.
bool is_before(const PiecePtr& piece, const PiecePtr& last);

}  // namespace pvnet::cuda::fake
