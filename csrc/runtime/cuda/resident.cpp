// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/resident.hpp"

#include <cstring>
#include <mutex>
#include <tuple>
#include <utility>

#include "backends/cuda/error.hpp"

namespace pvnet::cuda {
namespace {

constexpr const char* kWhere = "Stream.create";
// A hyper-period longer than this gets no lists of its own: they would take more memory than the
// tiles that are not due take time.
constexpr int64_t kMostPhases = 32;

using device::Gather;

std::vector<Gather> gathers_of(ExecutorKind kind) {
  switch (kind) {
    case ExecutorKind::automatic:
      return {Gather::op, Gather::group, Gather::wave, Gather::packed};
    case ExecutorKind::group:
      return {Gather::group};
    case ExecutorKind::wave:
      return {Gather::wave};
    case ExecutorKind::packed:
      return {Gather::packed};
    default:
      return {Gather::op};
  }
}

}  // namespace

Result<std::shared_ptr<const Resident>> Resident::of(const std::shared_ptr<const Plan>& plan,
                                                     const Device& device) {
  using Key = std::tuple<const Plan*, Machine*, int>;
  static std::mutex mutex;
  static std::map<Key, std::weak_ptr<const Resident>> all;
  const std::lock_guard<std::mutex> lock(mutex);
  std::erase_if(all, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<const Resident>& entry = all[{plan.get(), device.machine, device.number}];
  if (auto there = entry.lock()) return there;
  auto made = make(plan, device);
  if (made.ok()) entry = made.value();
  return made;
}

Result<std::shared_ptr<const Resident>> Resident::make(const std::shared_ptr<const Plan>& plan,
                                                       const Device& device) {
  std::shared_ptr<Resident> resident(new Resident(plan, device));
  resident->gather();
  resident->reserve();
  PVNET_TRY(resident->upload(*device.machine));
  return std::shared_ptr<const Resident>(std::move(resident));
}

Resident::Resident(std::shared_ptr<const Plan> plan, const Device& device)
    : plan_(std::move(plan)), arena_(device, Memory::device) {}

void Resident::gather() {
  phases_ = plan_->hyper_period <= kMostPhases ? static_cast<int>(plan_->hyper_period) : 0;
  const ExecutorKind kind = *executor_of(plan_->options.executor);
  for (const Gather how : gathers_of(kind)) {
    for (int phase = -1; phase < phases_; ++phase) {
      ResidentList made{device::gather(*plan_, host(), how, phase),
                        static_cast<int>(tiles_.size())};
      tiles_.insert(tiles_.end(), made.list.tiles.begin(), made.list.tiles.end());
      lists_.emplace(std::pair(how, phase), std::move(made));
    }
  }
}

void Resident::reserve() {
  const auto add = [&](const void* from, size_t bytes, void* to) {
    tables_.push_back({from, bytes, to, arena_.reserve(static_cast<int64_t>(bytes))});
  };
  const auto table = [&](const auto& rows, auto*& to) {
    add(rows.data(), rows.size() * sizeof(rows[0]), &to);
  };
  const device::Program& p = host();
  table(p.values, program_.values);
  table(p.segments, program_.segments);
  table(p.reads, program_.reads);
  table(p.sources, program_.sources);
  table(p.pieces, program_.pieces);
  table(p.patches, program_.patches);
  table(p.ops, program_.ops);
  table(p.inputs, program_.inputs);
  table(p.outputs, program_.outputs);
  table(p.floats, program_.floats);
  table(tiles_, program_.tiles);
  add(plan_->packed.data(), plan_->packed.size(), &program_.weights);
  program_.n_reads = static_cast<int32_t>(p.reads.size());
  program_.n_inputs = static_cast<int32_t>(p.inputs.size());
  program_.n_outputs = static_cast<int32_t>(p.outputs.size());
  program_.n_rows = plan_->options.batch;
  program_.row_elements = p.row_elements;
  program_.result_bytes = p.result_bytes(plan_->options.batch);
  program_.row_floats = p.row_floats;
}

Status Resident::upload(Machine& machine) {
  auto stream = make_stream(machine, kWhere);
  if (!stream.ok()) return stream.status();
  const CudaStream s = stream.value().get();
  PVNET_TRY(arena_.allocate(s, kWhere));
  for (const Table& t : tables_) {
    const void* const there = arena_.at(t.part);
    std::memcpy(t.to, &there, sizeof(there));
    if (t.bytes == 0) continue;
    PVNET_CUDA_TRY(machine, copy(arena_.at(t.part), t.from, t.bytes, s), kWhere,
                   "uploading the plan");
  }
  PVNET_CUDA_TRY(machine, synchronise(s), kWhere, "uploading the plan");
  return {};
}

int Resident::op_number_of(const ResidentList& list, const device::Launch& launch) const {
  const int op = list.list.tiles[static_cast<size_t>(launch.first_tile)].op;
  return host().plan_op[static_cast<size_t>(op)];
}
const PlanOp& Resident::op_of(const ResidentList& list, const device::Launch& launch) const {
  return plan_->ops[static_cast<size_t>(op_number_of(list, launch))];
}

std::shared_ptr<const StageTimes> Resident::stage_times() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stage_times_;
}
void Resident::keep_stage_times(StageTimes times) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stage_times_ == nullptr) stage_times_ = std::make_shared<StageTimes>(std::move(times));
}

const ResidentList& Resident::list(device::Gather how, int phase) const {
  return lists_.at({how, phase < phases_ ? phase : -1});
}

}  // namespace pvnet::cuda
