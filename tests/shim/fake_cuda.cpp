// SPDX-License-Identifier: Apache-2.0
#include "shim/fake_cuda.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pvnet::cuda::fake {
namespace {

constexpr int64_t kEnqueueNs = 2000;  // of the host, and of a kernel's start in a cuda_stream
constexpr int64_t kNodeNs = 700;      // of a kernel's start in a graph
constexpr int64_t kBlockNs = 20;

}  // namespace

FakeCuda::FakeCuda(Kernels& kernels)
    : kernels_(kernels), pool_(kernels, [this](const std::string& what) { (void)refuse(what); }) {
  for (size_t i = 1; i <= kDefaultStreams; ++i) streams_[i] = {};
  handles_ = kDefaultStreams;
}

FakeCuda::~FakeCuda() = default;

void FakeCuda::seed(uint64_t seed) {
  const Lock lock(mutex_);
  pool_.seed(seed);
}

void FakeCuda::fail(int64_t call, ErrorCode code, bool from_then_on) {
  const Lock lock(mutex_);
  calls_ = 0;
  fail_at_ = call;
  fail_code_ = code;
  fail_from_then_on_ = from_then_on;
}

std::vector<std::string> FakeCuda::refused() {
  const Lock lock(mutex_);
  return std::exchange(refused_, {});
}

std::vector<std::string> FakeCuda::leaks() const {
  const Lock lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [at, m] : memory_) {
    all.push_back(std::to_string(m.size) + (m.pinned ? " bytes pinned" : " bytes of the device"));
  }
  for (const auto& [n, s] : streams_) {
    if (n > kDefaultStreams) all.push_back("cuda_stream " + std::to_string(n));
  }
  for (const auto& [n, e] : events_) all.push_back("event " + std::to_string(n));
  for (const auto& [n, g] : graphs_) all.push_back("graph " + std::to_string(n));
  for (const auto& [n, g] : execs_) all.push_back("graph exec " + std::to_string(n));
  return all;
}

ErrorCode FakeCuda::refuse(const std::string& what, ErrorCode code) {
  refused_.push_back(what);
  last_refused_ = what;
  return code;
}

const char* FakeCuda::text(ErrorCode code) {
  if (code == kRefused) return last_refused_.c_str();
  if (code == kOutOfMemory) return "out of memory";
  return code == kSuccess ? "no error" : "an error of the test";
}

// Every call begins here. Giving back always works, as it must after an error, too.
ErrorCode FakeCuda::enter(Rule rule, const char* what) {
  host_ns_ += kEnqueueNs;
  if (in_tick_ && rule == Rule::waits) return refuse(std::string(what) + " waits inside a tick");
  if (in_tick_ && (rule == Rule::allocates || rule == Rule::gives_back)) {
    return refuse(std::string(what) + " allocates inside a tick");
  }
  if (rule == Rule::gives_back) return kSuccess;
  const int64_t call = calls_++;
  const bool fails = fail_at_ >= 0 && (fail_from_then_on_ ? call >= fail_at_ : call == fail_at_);
  failed_in_tick_ = failed_in_tick_ || fails;
  return fails ? fail_code_ : kSuccess;
}

ErrorCode FakeCuda::driver_version(int* version) {
  FAKE_CALL(Rule::any, "driver_version");
  *version = driver;
  return kSuccess;
}
ErrorCode FakeCuda::device_count(int* count) {
  FAKE_CALL(Rule::any, "device_count");
  if (driver < least_driver) return kInsufficientDriver;
  *count = devices;
  return devices == 0 ? kNoDevice : kSuccess;
}
ErrorCode FakeCuda::device_facts(int, DeviceFacts* to) {
  FAKE_CALL(Rule::any, "device_facts");
  *to = facts;
  return kSuccess;
}
ErrorCode FakeCuda::current_device(int* device) {
  FAKE_CALL(Rule::any, "current_device");
  *device = 0;
  return kSuccess;
}
ErrorCode FakeCuda::use_device(int device) {
  FAKE_CALL(Rule::any, "use_device");
  return device < devices ? kSuccess : kInvalidValue;
}

const FakeCuda::Memory* FakeCuda::memory_of(const void* at, size_t bytes) const {
  const auto* p = static_cast<const std::byte*>(at);
  auto it = memory_.upper_bound(p);
  if (it == memory_.begin()) return nullptr;
  --it;
  return p + bytes <= it->first + it->second.size ? &it->second : nullptr;
}

ErrorCode FakeCuda::allocate(void** memory, size_t bytes, bool pinned) {
  Memory m{std::unique_ptr<std::byte[]>(new std::byte[bytes + 256]), bytes, pinned};
  // As the runtime aligns; whoever does not clear it reads NaN.
  const auto start = reinterpret_cast<uintptr_t>(m.bytes.get());
  std::byte* at = m.bytes.get() + (256 - start % 256) % 256;
  std::memset(at, 0xFF, bytes);
  *memory = at;
  if (!pinned) {
    kernels_.memory_added(at, bytes);
    allocated_bytes += static_cast<int64_t>(bytes);
  }
  memory_[at] = std::move(m);
  return kSuccess;
}
ErrorCode FakeCuda::free_memory(int64_t* bytes) {
  FAKE_CALL(Rule::waits, "free_memory");
  *bytes = facts.memory_bytes - allocated_bytes;
  return kSuccess;
}
ErrorCode FakeCuda::allocate(void** memory, size_t bytes) {
  FAKE_CALL(Rule::allocates, "allocate");
  return allocate(memory, bytes, false);
}
ErrorCode FakeCuda::allocate_pinned(void** memory, size_t bytes) {
  FAKE_CALL(Rule::allocates, "allocate_pinned");
  return allocate(memory, bytes, true);
}

ErrorCode FakeCuda::give_back(void* memory, bool pinned) {
  const auto it = memory_.find(static_cast<std::byte*>(memory));
  if (it == memory_.end() || it->second.pinned != pinned) {
    return refuse("memory is given back that was not allocated");
  }
  // What a device that has failed still had to do is void.
  const bool failed = fail_from_then_on_ && calls_ > fail_at_;
  pool_.run_all();  // as cudaFree waits
  if (pinned) pool_.forget(memory, it->second.size, !failed);
  if (!pinned) {
    kernels_.memory_removed(memory);
    allocated_bytes -= static_cast<int64_t>(it->second.size);
  }
  memory_.erase(it);
  return kSuccess;
}
ErrorCode FakeCuda::release(void* memory) {
  FAKE_CALL(Rule::gives_back, "release");
  return give_back(memory, false);
}
ErrorCode FakeCuda::release_pinned(void* memory) {
  FAKE_CALL(Rule::gives_back, "release_pinned");
  return give_back(memory, true);
}

ErrorCode FakeCuda::create_stream(CudaStream* stream) {
  FAKE_CALL(Rule::allocates, "create_stream");
  streams_[++handles_] = {};
  *stream = reinterpret_cast<CudaStream>(handles_);
  return kSuccess;
}
ErrorCode FakeCuda::destroy_stream(CudaStream stream) {
  FAKE_CALL(Rule::gives_back, "destroy_stream");
  return erase(streams_, stream, "the cuda_stream");
}
void FakeCuda::wait_for(const PiecePtr& piece) {
  if (piece == nullptr) return;
  pool_.run_until(piece);
  pool_.see(piece);
  host_ns_ = std::max(host_ns_, piece->finish_ns);
}
ErrorCode FakeCuda::synchronise(CudaStream stream) {
  FAKE_CALL(Rule::waits, "synchronise");
  Stream* s = find(streams_, stream, "the cuda_stream");
  if (s == nullptr) return kRefused;
  if (s->capture != nullptr) return kCaptureUnsupported;
  wait_for(s->last);
  return kSuccess;
}
ErrorCode FakeCuda::is_capturing(CudaStream stream, bool* capturing) {
  FAKE_CALL(Rule::any, "is_capturing");
  Stream* s = find(streams_, stream, "the cuda_stream");
  if (s == nullptr) return kRefused;
  *capturing = s->capture != nullptr;
  return kSuccess;
}

int64_t FakeCuda::cost_ns(const Work& work, int64_t start_ns) const {
  if (work.kind != Work::Kind::kernel) return start_ns;
  return start_ns + (kernel_ns ? kernel_ns(work.launch) : kBlockNs * work.launch.blocks);
}

PiecePtr FakeCuda::start(const Work& work, std::vector<PiecePtr> after, size_t queue,
                         int64_t cost_ns) {
  const auto is_host = [&](const void* at) {
    const Memory* m = memory_of(at, work.bytes);
    return m != nullptr && m->pinned;
  };
  const bool copies = work.kind == Work::Kind::copy;
  PiecePtr piece = pool_.start(work, std::move(after), queue, copies && is_host(work.from),
                               copies && is_host(work.to), host_ns_, cost_ns);
  if (work.kind == Work::Kind::kernel) {
    ++started_;
    if (in_tick_) of_tick_.push_back(piece);
  }
  return piece;
}

PiecePtr FakeCuda::start(const FakeGraph& graph, const PiecePtr& after, size_t queue) {
  std::vector<PiecePtr> pieces;
  // Nodes have no cuda_stream: each is as late as it likes.
  constexpr size_t kNodes = size_t{1} << 32;
  for (const FakeGraph::Node& node : graph.nodes) {
    std::vector<PiecePtr> before;
    for (const size_t i : node.after) before.push_back(pieces[i]);
    if (before.empty() && after != nullptr) before.push_back(after);
    const size_t own = kNodes + queue * kNodes + pieces.size();
    if (node.work.kind == Work::Kind::graph) {
      PiecePtr fork = start(Work{}, std::move(before), own, 0);
      pieces.push_back(start(*node.work.graph, fork, own));
    } else {
      pieces.push_back(start(node.work, std::move(before), own, cost_ns(node.work, kNodeNs)));
    }
  }
  if (after != nullptr) pieces.push_back(after);
  return start(Work{}, std::move(pieces), queue, 0);
}

ErrorCode FakeCuda::enqueue(CudaStream stream, const Work& work, std::vector<PiecePtr> more) {
  Stream* s = find(streams_, stream, "the cuda_stream");
  if (s == nullptr) return kRefused;
  if (s->capture != nullptr) {
    FakeGraph& graph = *s->capture->graph;
    graph.nodes.push_back({work, s->captured});
    s->captured = {graph.nodes.size() - 1};
    return kSuccess;
  }
  if (work.kind == Work::Kind::graph) {
    s->last = start(*work.graph, s->last, number_of(stream));
    return kSuccess;
  }
  if (s->last != nullptr) more.push_back(s->last);
  const int64_t cost = work.kind == Work::Kind::kernel ? cost_ns(work, kEnqueueNs) : 0;
  s->last = start(work, std::move(more), number_of(stream), cost);
  return kSuccess;
}

ErrorCode FakeCuda::copy(void* to, const void* from, size_t bytes, CudaStream stream) {
  FAKE_CALL(Rule::any, "copy");
  const Memory* source = memory_of(from, bytes);
  const Memory* target = memory_of(to, bytes);
  const bool pageable = source == nullptr || target == nullptr;
  // The runtime cannot tell pageable memory from what lies behind an allocation, but parts of a
  // program begin inside theirs.
  if (pageable && (memory_of(from, 1) != nullptr) == (memory_of(to, 1) != nullptr)) {
    return refuse("a copy beyond its memory");
  }
  if (pageable && in_tick_) return refuse("a copy of pageable memory waits inside a tick");
  const Work work{.kind = Work::Kind::copy, .to = to, .from = from, .bytes = bytes};
  const ErrorCode code = enqueue(stream, work);
  if (code == kSuccess && pageable) wait_for(find(streams_, stream, "the cuda_stream")->last);
  return code;
}

ErrorCode FakeCuda::fill(void* to, int byte, size_t bytes, CudaStream stream) {
  FAKE_CALL(Rule::any, "fill");
  const Memory* target = memory_of(to, bytes);
  if (target == nullptr || target->pinned) return refuse("a fill beyond the device's memory");
  return enqueue(stream, {.kind = Work::Kind::fill, .to = to, .bytes = bytes, .byte = byte});
}

// What a launch points to is there, as far as a program says how much it is.
ErrorCode FakeCuda::check_program(const pv_program& p) {
  const auto on_device = [&](const void* at, int64_t bytes) {
    const Memory* m = memory_of(at, static_cast<size_t>(bytes));
    return at == nullptr || (m != nullptr && !m->pinned);
  };
  const int64_t slots = int64_t{p.n_rows} * p.n_reads * int64_t{sizeof(int64_t)};
  if (!on_device(p.slots, slots) || !on_device(p.ticks, p.n_rows * int64_t{sizeof(int64_t)}) ||
      !on_device(p.memory, p.n_rows * p.row_elements) || !on_device(p.turn, sizeof(pv_turn))) {
    return refuse("a kernel points beyond the device's memory");
  }
  for (const void* r : p.results) {
    if (!on_device(r, p.result_bytes)) return refuse("a kernel's results lie beyond the memory");
  }
  return kSuccess;
}

ErrorCode FakeCuda::launch(const KernelLaunch& launch, CudaStream stream) {
  FAKE_CALL(Rule::any, "launch");
  if (launch.blocks < 1) return kInvalidValue;
  if (stream != nullptr && number_of(stream) <= kDefaultStreams) {
    return refuse("a kernel in a default cuda_stream, of which a process has one");
  }
  const ErrorCode code = check_program(launch.program);
  if (code != kSuccess) return code;
  if (on_launch) on_launch(launch, stream);
  return enqueue(stream, {.kind = Work::Kind::kernel, .launch = launch});
}

}  // namespace pvnet::cuda::fake
