// SPDX-License-Identifier: Apache-2.0
// The table of calls over the CUDA runtime, linked statically: without a driver the first call says
// so, and nothing before it fails.
#include <cuda_runtime_api.h>

#include <vector>

#include "backends/cuda/device.hpp"

extern "C" const void* pv_kernel(int kernel, int dtype);  // kernels/tick.cu

namespace pvnet::cuda {
namespace {

cudaStream_t raw(CudaStream s) { return reinterpret_cast<cudaStream_t>(s); }
cudaEvent_t raw(Event e) { return reinterpret_cast<cudaEvent_t>(e); }
cudaGraph_t raw(Graph g) { return reinterpret_cast<cudaGraph_t>(g); }
cudaGraphExec_t raw(GraphExec e) { return reinterpret_cast<cudaGraphExec_t>(e); }

// A kernel's parameters, as the runtime takes them.
struct Parameters {
  explicit Parameters(const KernelLaunch& l)
      : program(l.program), call(l.call), kernel(pv_kernel(static_cast<int>(l.kernel), l.dtype)) {}
  Parameters(const Parameters&) = delete;
  pv_program program;
  pv_call call;
  const void* kernel;
  void* pointers[2] = {&program, &call};
};

#if CUDART_VERSION >= 12030
// A kernel that waits itself for the one in front of it.
ErrorCode add_early(cudaGraph_t graph, cudaGraphNode_t from, cudaGraphNode_t to) {
  cudaGraphEdgeData edge = {};
  edge.from_port = cudaGraphKernelNodePortProgrammatic;
  edge.type = cudaGraphDependencyTypeProgrammatic;
#if CUDART_VERSION >= 13000
  return cudaGraphAddDependencies(graph, &from, &to, &edge, 1);
#else
  return cudaGraphAddDependencies_v2(graph, &from, &to, &edge, 1);
#endif
}
#endif

class Cudart final : public Machine {
 public:
  ErrorCode driver_version(int* version) override { return cudaDriverGetVersion(version); }
  ErrorCode device_count(int* count) override { return cudaGetDeviceCount(count); }
  ErrorCode device_facts(int device, DeviceFacts* facts) override;
  ErrorCode current_device(int* device) override { return cudaGetDevice(device); }
  ErrorCode use_device(int device) override { return cudaSetDevice(device); }

  ErrorCode free_memory(int64_t* bytes) override;
  ErrorCode allocate(void** memory, size_t bytes) override { return cudaMalloc(memory, bytes); }
  ErrorCode release(void* memory) override { return cudaFree(memory); }
  ErrorCode allocate_pinned(void** memory, size_t bytes) override {
    return cudaHostAlloc(memory, bytes, cudaHostAllocPortable);
  }
  ErrorCode release_pinned(void* memory) override { return cudaFreeHost(memory); }

  ErrorCode create_stream(CudaStream* stream) override {
    return cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream),
                                     cudaStreamNonBlocking);
  }
  ErrorCode destroy_stream(CudaStream stream) override { return cudaStreamDestroy(raw(stream)); }
  ErrorCode synchronise(CudaStream stream) override { return cudaStreamSynchronize(raw(stream)); }
  ErrorCode is_capturing(CudaStream stream, bool* capturing) override;

  ErrorCode copy(void* to, const void* from, size_t bytes, CudaStream stream) override {
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, raw(stream));
  }
  ErrorCode fill(void* to, int byte, size_t bytes, CudaStream stream) override {
    return cudaMemsetAsync(to, byte, bytes, raw(stream));
  }
  ErrorCode launch(const KernelLaunch& launch, CudaStream stream) override;

  ErrorCode create_event(Event* event, bool timed) override {
    return cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event),
                                    timed ? cudaEventDefault : cudaEventDisableTiming);
  }
  ErrorCode destroy_event(Event event) override { return cudaEventDestroy(raw(event)); }
  ErrorCode record(Event event, CudaStream stream) override {
    return cudaEventRecord(raw(event), raw(stream));
  }
  ErrorCode wait(CudaStream stream, Event event) override {
    return cudaStreamWaitEvent(raw(stream), raw(event), 0);
  }
  ErrorCode query(Event event) override { return cudaEventQuery(raw(event)); }
  ErrorCode synchronise(Event event) override { return cudaEventSynchronize(raw(event)); }
  ErrorCode elapsed_ms(Event begin, Event end, float* ms) override {
    return cudaEventElapsedTime(ms, raw(begin), raw(end));
  }

  ErrorCode create_graph(Graph* graph) override {
    return cudaGraphCreate(reinterpret_cast<cudaGraph_t*>(graph), 0);
  }
  ErrorCode destroy_graph(Graph graph) override { return cudaGraphDestroy(raw(graph)); }
  ErrorCode add_kernel(Graph graph, const KernelLaunch& launch, const GraphNode* after,
                       size_t n_after, GraphNode* node) override;
  ErrorCode instantiate(Graph graph, GraphExec* exec) override {
    return cudaGraphInstantiate(reinterpret_cast<cudaGraphExec_t*>(exec), raw(graph), 0);
  }
  ErrorCode destroy_exec(GraphExec exec) override { return cudaGraphExecDestroy(raw(exec)); }
  ErrorCode launch(GraphExec exec, CudaStream stream) override {
    return cudaGraphLaunch(raw(exec), raw(stream));
  }

  const char* text(ErrorCode code) override {
    return cudaGetErrorString(static_cast<cudaError_t>(code));
  }
};

ErrorCode Cudart::device_facts(int device, DeviceFacts* facts) {
  cudaDeviceProp properties;
  const cudaError_t code = cudaGetDeviceProperties(&properties, device);
  if (code != cudaSuccess) return code;
  facts->name = properties.name;
  facts->major = properties.major;
  facts->minor = properties.minor;
  facts->multiprocessors = properties.multiProcessorCount;
  facts->memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  facts->early_launch = properties.major >= 9;
  return kSuccess;
}

ErrorCode Cudart::free_memory(int64_t* bytes) {
  size_t left = 0, all = 0;
  const cudaError_t code = cudaMemGetInfo(&left, &all);
  *bytes = static_cast<int64_t>(left);
  return code;
}

ErrorCode Cudart::is_capturing(CudaStream stream, bool* capturing) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t code = cudaStreamIsCapturing(raw(stream), &status);
  *capturing = status != cudaStreamCaptureStatusNone;
  return code;
}

ErrorCode Cudart::launch(const KernelLaunch& launch, CudaStream stream) {
  Parameters parameters(launch);
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(launch.blocks));
  config.blockDim = dim3(PV_THREADS);
  config.dynamicSmemBytes = static_cast<size_t>(launch.shared_bytes);
  config.stream = raw(stream);
  config.attrs = &early;
  config.numAttrs = launch.early ? 1 : 0;
  return cudaLaunchKernelExC(&config, parameters.kernel, parameters.pointers);
}

ErrorCode Cudart::add_kernel(Graph graph, const KernelLaunch& launch, const GraphNode* after,
                             size_t n_after, GraphNode* node) {
  Parameters parameters(launch);
  cudaKernelNodeParams p = {};
  p.func = const_cast<void*>(parameters.kernel);
  p.gridDim = dim3(static_cast<unsigned>(launch.blocks));
  p.blockDim = dim3(PV_THREADS);
  p.sharedMemBytes = static_cast<unsigned>(launch.shared_bytes);
  p.kernelParams = parameters.pointers;
  const auto* from = reinterpret_cast<const cudaGraphNode_t*>(after);
  auto* made = reinterpret_cast<cudaGraphNode_t*>(node);
#if CUDART_VERSION >= 12030
  if (launch.early && n_after == 1) {
    const cudaError_t code = cudaGraphAddKernelNode(made, raw(graph), nullptr, 0, &p);
    return code == cudaSuccess ? add_early(raw(graph), *from, *made) : code;
  }
#endif
  return cudaGraphAddKernelNode(made, raw(graph), from, n_after, &p);
}

}  // namespace

Machine* real_machine(const char** /*why*/) {
  static Cudart machine;
  return &machine;
}

}  // namespace pvnet::cuda
