// SPDX-License-Identifier: Apache-2.0
// Events, graphs, and what a program captures of them.
#include <algorithm>
#include <utility>

#include "shim/fake_cuda.hpp"

namespace pvnet::cuda::fake {
namespace {

// Whether node `node` is `last`, or in front of it.
bool is_before(const FakeGraph& graph, size_t node, size_t last) {
  if (last <= node) return last == node;
  const std::vector<size_t>& after = graph.nodes[last].after;
  return std::any_of(after.begin(), after.end(),
                     [&](size_t i) { return is_before(graph, node, i); });
}

}  // namespace

ErrorCode FakeCuda::create_event(Event* event, bool timed) {
  FAKE_CALL(Rule::allocates, "create_event");
  events_[++handles_].timed = timed;
  *event = reinterpret_cast<Event>(handles_);
  return kSuccess;
}
ErrorCode FakeCuda::destroy_event(Event event) {
  FAKE_CALL(Rule::gives_back, "destroy_event");
  return erase(events_, event, "the event");
}

ErrorCode FakeCuda::record(Event event, CudaStream stream) {
  FAKE_CALL(Rule::any, "record");
  FakeEvent* e = find(events_, event, "the event");
  const ErrorCode code = e == nullptr ? kRefused : enqueue(stream, {});
  if (code != kSuccess) return code;
  const Stream& s = *find(streams_, stream, "the cuda_stream");
  e->capture = s.capture;
  e->captured = s.captured;
  e->recorded = s.capture == nullptr ? s.last : nullptr;
  return kSuccess;
}

ErrorCode FakeCuda::wait(CudaStream stream, Event event) {
  FAKE_CALL(Rule::any, "wait");
  const int number = waits_++;
  if (in_tick_) most_waits_[part_] = std::max(most_waits_[part_], waits_);
  if (in_tick_ && left_out_ == std::pair(part_, number)) return kSuccess;
  const FakeEvent* e = find(events_, event, "the event");
  Stream* s = find(streams_, stream, "the cuda_stream");
  if (e == nullptr || s == nullptr) return kRefused;
  if (e->capture == nullptr) {
    if (s->capture != nullptr)
      return refuse("a capture waits for work before it", kCaptureIsolation);
    return e->recorded == nullptr ? kSuccess : enqueue(stream, {}, {e->recorded});
  }
  if (s->capture == nullptr) {
    s->capture = e->capture;
    s->captured.clear();
    e->capture->streams.push_back(number_of(stream));
  } else if (s->capture != e->capture) {
    return refuse("a capture waits for another one", kCaptureIsolation);
  }
  std::vector<size_t> both = s->captured;
  both.insert(both.end(), e->captured.begin(), e->captured.end());
  FakeGraph& graph = *s->capture->graph;
  graph.nodes.push_back({{}, std::move(both)});
  s->captured = {graph.nodes.size() - 1};
  return kSuccess;
}

ErrorCode FakeCuda::query(Event event) {
  FAKE_CALL(Rule::any, "query");
  const FakeEvent* e = find(events_, event, "the event");
  if (e == nullptr) return kRefused;
  if (e->capture != nullptr) return kCaptureUnsupported;
  pool_.run_some();
  if (e->recorded == nullptr) return kSuccess;
  if (!e->recorded->done) return kNotReady;
  pool_.see(e->recorded);
  return kSuccess;
}
ErrorCode FakeCuda::synchronise(Event event) {
  FAKE_CALL(Rule::waits, "synchronise");
  const FakeEvent* e = find(events_, event, "the event");
  if (e == nullptr) return kRefused;
  if (e->capture != nullptr) return kCaptureUnsupported;
  wait_for(e->recorded);
  return kSuccess;
}
ErrorCode FakeCuda::elapsed_ms(Event begin, Event end, float* ms) {
  FAKE_CALL(Rule::any, "elapsed_ms");
  const FakeEvent* a = find(events_, begin, "the event");
  const FakeEvent* b = find(events_, end, "the event");
  if (a == nullptr || b == nullptr || !a->timed || !b->timed) return kInvalidValue;
  if (a->recorded == nullptr || b->recorded == nullptr) return kInvalidValue;
  if (!a->recorded->done || !b->recorded->done) return kNotReady;
  *ms = static_cast<float>(static_cast<double>(b->recorded->finish_ns - a->recorded->finish_ns) *
                           1e-6);
  return kSuccess;
}

ErrorCode FakeCuda::create_graph(Graph* graph) {
  FAKE_CALL(Rule::allocates, "create_graph");
  graphs_[++handles_] = std::make_shared<FakeGraph>();
  *graph = reinterpret_cast<Graph>(handles_);
  return kSuccess;
}
ErrorCode FakeCuda::destroy_graph(Graph graph) {
  FAKE_CALL(Rule::gives_back, "destroy_graph");
  return erase(graphs_, graph, "the graph");
}

// A node's handle is its number and 1, which no other graph may be given; none has that many.
ErrorCode FakeCuda::add_kernel(Graph graph, const KernelLaunch& launch, const GraphNode* after,
                               size_t n_after, GraphNode* node) {
  FAKE_CALL(Rule::allocates, "add_kernel");
  const auto* g = find(graphs_, graph, "the graph");
  if (g == nullptr) return kRefused;
  if (launch.blocks < 1) return kInvalidValue;
  const ErrorCode code = check_program(launch.program);
  if (code != kSuccess) return code;
  FakeGraph::Node added{{.kind = Work::Kind::kernel, .launch = launch}, {}};
  for (size_t i = 0; i < n_after; ++i) {
    const size_t number = number_of(after[i]);
    if (number == 0 || number > (*g)->nodes.size()) return refuse("the node does not exist");
    added.after.push_back(number - 1);
  }
  (*g)->nodes.push_back(std::move(added));
  *node = reinterpret_cast<GraphNode>((*g)->nodes.size());
  return kSuccess;
}

ErrorCode FakeCuda::instantiate(Graph graph, GraphExec* exec) {
  FAKE_CALL(Rule::allocates, "instantiate");
  const auto* g = find(graphs_, graph, "the graph");
  if (g == nullptr) return kRefused;
  execs_[++handles_] = std::make_shared<FakeGraph>(**g);
  *exec = reinterpret_cast<GraphExec>(handles_);
  return kSuccess;
}
ErrorCode FakeCuda::destroy_exec(GraphExec exec) {
  FAKE_CALL(Rule::gives_back, "destroy_exec");
  return erase(execs_, exec, "the graph exec");
}
ErrorCode FakeCuda::launch(GraphExec exec, CudaStream stream) {
  FAKE_CALL(Rule::any, "launch of a graph");
  const auto* g = find(execs_, exec, "the graph exec");
  if (g == nullptr) return kRefused;
  return enqueue(stream, {.kind = Work::Kind::graph, .graph = *g});
}

ErrorCode FakeCuda::begin_capture(CudaStream stream) {
  const Lock lock(mutex_);
  Stream* s = find(streams_, stream, "the cuda_stream");
  if (s == nullptr) return kRefused;
  s->capture = std::make_shared<Capture>();
  s->capture->streams = {number_of(stream)};
  s->captured.clear();
  return kSuccess;
}

ErrorCode FakeCuda::end_capture(CudaStream stream, Graph* graph) {
  const Lock lock(mutex_);
  Stream* first = find(streams_, stream, "the cuda_stream");
  if (first == nullptr || first->capture == nullptr) return kRefused;
  const std::shared_ptr<Capture> capture = first->capture;
  const std::vector<size_t> end = first->captured;
  bool joined = true;
  for (const size_t number : capture->streams) {
    Stream& s = streams_[number];
    for (const size_t node : s.captured) {
      joined = joined && !end.empty() && is_before(*capture->graph, node, end.front());
    }
    s.capture = nullptr;
    s.captured.clear();
  }
  if (!joined) return refuse("a fork of the capture is not joined", kCaptureUnjoined);
  graphs_[++handles_] = capture->graph;
  *graph = reinterpret_cast<Graph>(handles_);
  return kSuccess;
}

int FakeCuda::most_waits(int part) {
  const Lock lock(mutex_);
  return std::exchange(most_waits_[part], 0);
}

void FakeCuda::enter_tick(CudaStream main) {
  const Lock lock(mutex_);
  in_tick_ = true;
  failed_in_tick_ = false;
  part_ = 1 - part_;
  waits_ = 0;
  main_ = main;
  of_tick_.clear();
}

// Whoever waits for the tick's cuda_stream must find all of its kernels done.
void FakeCuda::leave_tick() {
  const Lock lock(mutex_);
  in_tick_ = false;
  const Stream* main = find(streams_, main_, "the cuda_stream");
  if (main == nullptr || main->capture != nullptr || failed_in_tick_) return;
  for (const PiecePtr& kernel : of_tick_) {
    if (!fake::is_before(kernel, main->last)) {
      (void)refuse("a fork inside a tick is not joined");
      break;
    }
  }
  of_tick_.clear();
}

}  // namespace pvnet::cuda::fake
