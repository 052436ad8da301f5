// SPDX-License-Identifier: Apache-2.0
// A machine for tests: the calls of machine.hpp over work that runs late and in a seeded random
// order, kernels on the fibers of the shim. What a program may not do is refused and written down.
// In a tick that is allocating, waiting and forks without a join. Anywhere it is the default
// cuda_stream, copies beyond an allocation, and host memory touched before its time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backends/cuda/machine.hpp"
#include "shim/fake_work.hpp"

namespace pvnet::cuda::fake {

constexpr ErrorCode kInvalidValue = 1;
constexpr ErrorCode kRefused = 800;             // by these rules
constexpr ErrorCode kCaptureUnsupported = 900;  // what a capture forbids
constexpr ErrorCode kCaptureUnjoined = 904;
constexpr ErrorCode kCaptureIsolation = 905;  // work in front of the capture

// The default ones, legacy and of the thread: a caller may have them, a tick never.
constexpr size_t kDefaultStreams = 2;

template <class Handle>
size_t number_of(Handle handle) {
  return reinterpret_cast<size_t>(handle);
}

class FakeCuda final : public Machine {
 public:
  // kernels: outlives it.
  explicit FakeCuda(Kernels& kernels);
  ~FakeCuda() override;

  // Of tests: the order of what may run in any order.
  void seed(uint64_t seed);
  // The call number `call` from now on (the first is 0) fails, or it and all later ones.
  void fail(int64_t call, ErrorCode code, bool from_then_on = false);
  void fail_never() { fail(-1, kSuccess); }
  // The wait number `wait` of every part of a tick does nothing; parts take turns. -1: none.
  void leave_out(int part, int wait) { left_out_ = {part, wait}; }
  // The most waits that a part has had since the last call of this.
  int most_waits(int part);
  int64_t calls() const { return calls_; }  // that may fail, since the last fail()
  DeviceFacts facts{"fake", 9, 0, 4, int64_t{1} << 30, true, true};
  int devices = 1;
  int driver = 13000;           // as driver_version() says; 0: there is none
  int least_driver = 12000;     // with an older one nothing starts
  int64_t allocated_bytes = 0;  // of facts.memory_bytes
  // Nanoseconds that a kernel takes; none: by its blocks.
  std::function<int64_t(const KernelLaunch&)> kernel_ns;
  // Told of every kernel that is enqueued by itself.
  std::function<void(const KernelLaunch&, CudaStream)> on_launch;
  // What was refused, and what was never given back. refused() forgets.
  std::vector<std::string> refused();
  std::vector<std::string> leaks() const;
  size_t started() const { return started_; }  // kernels
  // Of the caller's program.
  ErrorCode begin_capture(CudaStream stream);
  ErrorCode end_capture(CudaStream stream, Graph* graph);

  ErrorCode driver_version(int* version) override;
  ErrorCode device_count(int* count) override;
  ErrorCode device_facts(int device, DeviceFacts* facts) override;
  ErrorCode current_device(int* device) override;
  ErrorCode use_device(int device) override;
  ErrorCode free_memory(int64_t* bytes) override;
  ErrorCode allocate(void** memory, size_t bytes) override;
  ErrorCode release(void* memory) override;
  ErrorCode allocate_pinned(void** memory, size_t bytes) override;
  ErrorCode release_pinned(void* memory) override;
  ErrorCode create_stream(CudaStream* stream) override;
  ErrorCode destroy_stream(CudaStream stream) override;
  ErrorCode synchronise(CudaStream stream) override;
  ErrorCode is_capturing(CudaStream stream, bool* capturing) override;
  ErrorCode copy(void* to, const void* from, size_t bytes, CudaStream stream) override;
  ErrorCode fill(void* to, int byte, size_t bytes, CudaStream stream) override;
  ErrorCode launch(const KernelLaunch& launch, CudaStream stream) override;
  ErrorCode create_event(Event* event, bool timed) override;
  ErrorCode destroy_event(Event event) override;
  ErrorCode record(Event event, CudaStream stream) override;
  ErrorCode wait(CudaStream stream, Event event) override;
  ErrorCode query(Event event) override;
  ErrorCode synchronise(Event event) override;
  ErrorCode elapsed_ms(Event begin, Event end, float* ms) override;
  ErrorCode create_graph(Graph* graph) override;
  ErrorCode destroy_graph(Graph graph) override;
  ErrorCode add_kernel(Graph graph, const KernelLaunch& launch, const GraphNode* after,
                       size_t n_after, GraphNode* node) override;
  ErrorCode instantiate(Graph graph, GraphExec* exec) override;
  ErrorCode destroy_exec(GraphExec exec) override;
  ErrorCode launch(GraphExec exec, CudaStream stream) override;
  const char* text(ErrorCode code) override;
  void enter_tick(CudaStream main) override;
  void leave_tick() override;

 private:
  struct Memory {
    std::unique_ptr<std::byte[]> bytes;
    size_t size = 0;
    bool pinned = false;
  };
  // Nodes of a capture under way, and the cuda_streams that take part.
  struct Capture {
    std::shared_ptr<FakeGraph> graph = std::make_shared<FakeGraph>();
    std::vector<size_t> streams;  // the first has begun it
  };
  struct Stream {
    PiecePtr last;
    std::shared_ptr<Capture> capture;
    std::vector<size_t> captured;  // the last node; none at first
  };
  struct FakeEvent {
    PiecePtr recorded;
    std::shared_ptr<Capture> capture;
    std::vector<size_t> captured;
    bool timed = false;
  };
  template <class T>
  using Handles = std::map<size_t, T>;

  enum class Rule : uint8_t { any, allocates, waits, gives_back };
  using Lock = std::unique_lock<std::recursive_mutex>;
  ErrorCode enter(Rule rule, const char* what);
  ErrorCode refuse(const std::string& what, ErrorCode code = kRefused);
  template <class Handle, class T>
  T* find(Handles<T>& handles, Handle handle, const char* what);
  template <class Handle, class T>
  ErrorCode erase(Handles<T>& handles, Handle handle, const char* what);
  const Memory* memory_of(const void* at, size_t bytes) const;
  ErrorCode allocate(void** memory, size_t bytes, bool pinned);
  ErrorCode give_back(void* memory, bool pinned);
  ErrorCode check_program(const pv_program& program);
  ErrorCode enqueue(CudaStream stream, const Work& work, std::vector<PiecePtr> more = {});
  int64_t cost_ns(const Work& work, int64_t start_ns) const;
  PiecePtr start(const Work& work, std::vector<PiecePtr> after, size_t queue, int64_t cost_ns);
  PiecePtr start(const FakeGraph& graph, const PiecePtr& after, size_t queue);
  void wait_for(const PiecePtr& piece);

  mutable std::recursive_mutex mutex_;
  Kernels& kernels_;
  Pool pool_;
  int64_t calls_ = 0, fail_at_ = -1;
  ErrorCode fail_code_ = kSuccess;
  bool fail_from_then_on_ = false;
  std::vector<std::string> refused_;
  std::string last_refused_;
  std::map<const std::byte*, Memory> memory_;
  Handles<Stream> streams_;
  Handles<FakeEvent> events_;
  Handles<std::shared_ptr<FakeGraph>> graphs_, execs_;
  size_t handles_ = 0;
  size_t started_ = 0;
  int64_t host_ns_ = 0;  // a clock that every call moves on
  bool in_tick_ = false;
  bool failed_in_tick_ = false;  // a call that was told to: what comes after it may be missing
  int part_ = 1, waits_ = 0, most_waits_[2] = {};
  std::pair<int, int> left_out_ = {-1, -1};
  CudaStream main_ = nullptr;
  std::vector<PiecePtr> of_tick_;  // its kernels
};

template <class Handle, class T>
T* FakeCuda::find(Handles<T>& handles, Handle handle, const char* what) {
  const auto it = handles.find(number_of(handle));
  if (it != handles.end()) return &it->second;
  (void)refuse(handle == nullptr ? std::string(what) + " is null: the default one"
                                 : std::string(what) + " does not exist");
  return nullptr;
}

template <class Handle, class T>
ErrorCode FakeCuda::erase(Handles<T>& handles, Handle handle, const char* what) {
  if (find(handles, handle, what) == nullptr) return kRefused;
  handles.erase(number_of(handle));
  return kSuccess;
}

// Starts each call: `lock` for its length, and a return where it may not or is told to fail.
#define FAKE_CALL(rule, what)                   \
  const Lock lock(mutex_);                      \
  const ErrorCode entered_ = enter(rule, what); \
  if (entered_ != kSuccess) return entered_

}  // namespace pvnet::cuda::fake
