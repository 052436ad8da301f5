// What a launch costs inside a CUDA graph, by the shape of the graph; a line of JSON a case:
//   nvcc -std=c++17 -O2 -arch=native -o launch_costs launch_costs.cu && ./launch_costs
// Kernels are empty. So the time of a graph is that of its launches, waits and joins.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using Nodes = std::vector<cudaGraphNode_t>;

constexpr int kThreads = 128;
constexpr int kWarm = 20, kLaunches = 200, kRounds = 7;

void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  std::exit(1);
}

// Lets the next launch begin at once, and waits for the one before: both cost nothing without an
// edge that asks for it.
__global__ void empty() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

cudaGraphNode_t add(cudaGraph_t graph, int blocks, const Nodes& after, bool programmatic) {
  cudaGraphNodeParams params{};
  params.type = cudaGraphNodeTypeKernel;
  params.kernel.func = reinterpret_cast<void*>(empty);
  params.kernel.gridDim = dim3(static_cast<unsigned>(blocks));
  params.kernel.blockDim = dim3(kThreads);
  std::vector<cudaGraphEdgeData> edges(after.size());
  if (programmatic) {
    for (cudaGraphEdgeData& edge : edges) {
      edge.type = cudaGraphDependencyTypeProgrammatic;
      edge.from_port = cudaGraphKernelNodePortProgrammatic;
    }
  }
  cudaGraphNode_t node = nullptr;
#if CUDART_VERSION >= 13000
  check(cudaGraphAddNode(&node, graph, after.data(), edges.data(), after.size(), &params), "node");
#else
  check(cudaGraphAddNode_v2(&node, graph, after.data(), edges.data(), after.size(), &params),
        "node");
#endif
  return node;
}

enum class Shape { chain, chain_programmatic, parallel, one_launch };

cudaGraph_t make(Shape shape, int n) {
  cudaGraph_t graph = nullptr;
  check(cudaGraphCreate(&graph, 0), "graph");
  const Nodes first = {add(graph, 1, {}, false)};
  if (shape == Shape::one_launch) {
    add(graph, n, first, false);
  } else if (shape == Shape::parallel) {
    Nodes all;
    for (int i = 0; i < n; ++i) all.push_back(add(graph, 1, first, false));
    add(graph, 1, all, false);
  } else {
    Nodes before = first;
    for (int i = 0; i < n; ++i) {
      before = {add(graph, 1, before, shape == Shape::chain_programmatic)};
    }
  }
  return graph;
}

// Microseconds of a graph, back to back: the median of the rounds.
double time_us(Shape shape, int n, cudaStream_t stream) {
  const cudaGraph_t graph = make(shape, n);
  cudaGraphExec_t exec = nullptr;
  check(cudaGraphInstantiate(&exec, graph, 0), "instantiate");
  for (int i = 0; i < kWarm; ++i) check(cudaGraphLaunch(exec, stream), "launch");
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "event");
  check(cudaEventCreate(&end), "event");
  std::vector<double> us;
  for (int round = 0; round < kRounds; ++round) {
    check(cudaEventRecord(begin, stream), "record");
    for (int i = 0; i < kLaunches; ++i) check(cudaGraphLaunch(exec, stream), "launch");
    check(cudaEventRecord(end, stream), "record");
    check(cudaEventSynchronize(end), "wait");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end), "elapsed");
    us.push_back(1e3 * static_cast<double>(ms) / kLaunches);
  }
  check(cudaEventDestroy(begin), "event");
  check(cudaEventDestroy(end), "event");
  check(cudaGraphExecDestroy(exec), "graph");
  check(cudaGraphDestroy(graph), "graph");
  std::sort(us.begin(), us.end());
  return us[us.size() / 2];
}

}  // namespace

int main() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  for (const int n : {1, 16, 64, 128}) {
    std::printf(
        "{\"kernels\": %d, \"chain_us\": %.2f, \"chain_pdl_us\": %.2f, \"parallel_us\": %.2f, "
        "\"one_launch_us\": %.2f}\n",
        n, time_us(Shape::chain, n, stream), time_us(Shape::chain_programmatic, n, stream),
        time_us(Shape::parallel, n, stream), time_us(Shape::one_launch, n, stream));
    std::fflush(stdout);
  }
  return 0;
}
