// SPDX-License-Identifier: Apache-2.0
// A tick as one launch of a CUDA graph with explicit nodes: a graph for every phase of the
// hyper-period, and one for rows at several of them.
#include <vector>

#include "backends/cuda/arena.hpp"
#include "backends/cuda/error.hpp"
#include "runtime/cuda/executor.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kWhere = "Stream.create";

class Graphs final : public Executor {
 public:
  Graphs(ExecutorKind kind, const Launcher& launcher) : Executor(launcher), kind_(kind) {}
  ExecutorKind kind() const override { return kind_; }
  Status prepare() override;
  Status run(CudaStream stream, const Moment& moment) override;

 protected:
  device::Gather gather() const override;

 private:
  Status add(Graph graph, const KernelLaunch& launch, const std::vector<GraphNode>& after,
             GraphNode* node);
  Status build(Graph graph, const ResidentList& list);

  ExecutorKind kind_;
  std::vector<OwnedExec> execs_;  // [1 + phase]
};

device::Gather Graphs::gather() const {
  switch (kind_) {
    case ExecutorKind::group:
      return device::Gather::group;
    case ExecutorKind::wave:
      return device::Gather::wave;
    case ExecutorKind::packed:
      return device::Gather::packed;
    default:
      return device::Gather::op;
  }
}

Status Graphs::add(Graph graph, const KernelLaunch& launch, const std::vector<GraphNode>& after,
                   GraphNode* node) {
  PVNET_CUDA_TRY(machine(), add_kernel(graph, launch, after.data(), after.size(), node), kWhere,
                 "a node of a graph");
  return {};
}

// begin in front of all, end behind all: the nodes that nobody waits for.
Status Graphs::build(Graph graph, const ResidentList& list) {
  const std::vector<device::Launch>& launches = list.list.launches;
  std::vector<GraphNode> nodes(launches.size());
  std::vector<bool> awaited(launches.size());
  GraphNode first = nullptr, last = nullptr;
  PVNET_TRY(add(graph, launcher_.begin(kByTurn), {}, &first));
  for (size_t i = 0; i < launches.size(); ++i) {
    std::vector<GraphNode> after;
    for (const int before : launches[i].after) {
      after.push_back(nodes[static_cast<size_t>(before)]);
      awaited[static_cast<size_t>(before)] = true;
    }
    if (after.empty()) after.push_back(first);
    const bool early = after.size() == 1;
    PVNET_TRY(add(graph, launcher_.tiles(list, launches[i], early), after, &nodes[i]));
  }
  std::vector<GraphNode> leaves;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!awaited[i]) leaves.push_back(nodes[i]);
  }
  if (leaves.empty()) leaves.push_back(first);
  return add(graph, launcher_.end(kByTurn, leaves.size() == 1), leaves, &last);
}

Status Graphs::prepare() {
  for (int phase = -1; phase < launcher_.resident().phases(); ++phase) {
    OwnedGraph graph(machine());
    PVNET_CUDA_TRY(machine(), create_graph(graph.out()), kWhere, "making a graph");
    PVNET_TRY(build(graph.get(), launcher_.resident().list(gather(), phase)));
    OwnedExec exec(machine());
    PVNET_CUDA_TRY(machine(), instantiate(graph.get(), exec.out()), kWhere, "making a graph");
    execs_.push_back(std::move(exec));
  }
  return {};
}

Status Graphs::run(CudaStream stream, const Moment& moment) {
  const size_t number = launcher_.resident().number_of(moment.phase);
  PVNET_CUDA_TRY(machine(), launch(execs_[number].get(), stream), "Stream.tick",
                 "the launch of a graph");
  return {};
}

}  // namespace

std::unique_ptr<Executor> graph_executor(ExecutorKind kind, const Launcher& launcher) {
  return std::make_unique<Graphs>(kind, launcher);
}

}  // namespace pvnet::cuda
