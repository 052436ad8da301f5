// SPDX-License-Identifier: Apache-2.0
// isa "shim" of the backend "cuda": the machine for tests, with the kernels of kernels/ on fibers.
#include "shim/shim_machine.hpp"

#include <utility>

#include "backends/cuda/device.hpp"
#include "shim/grid.hpp"
#include "shim/launch.hpp"
#include "shim/memory.hpp"

namespace pvnet::cuda {
namespace {

class OnFibers final : public fake::Running {
 public:
  explicit OnFibers(shim::Launch launch) : grid_(std::move(launch)) {}
  void start() override { grid_.start(); }
  void finish() override { grid_.finish(); }

 private:
  shim::Grid grid_;
};

class ShimKernels final : public fake::Kernels {
 public:
  std::unique_ptr<fake::Running> make(const KernelLaunch& l) override {
    const void* kernel = pv_shim_kernel(static_cast<int>(l.kernel), l.dtype);
    return std::make_unique<OnFibers>(shim::launch_of(
        kernel, l.program, l.call, l.blocks, static_cast<size_t>(l.shared_bytes), l.early));
  }
  void memory_added(const void* at, size_t bytes) override { shim::add_range(at, bytes); }
  void memory_removed(const void* at) override { shim::remove_range(at); }
};

}  // namespace

// Never destroyed: other threads may still use it where the process ends.
fake::FakeCuda& the_shim() {
  static auto* kernels = new ShimKernels;
  static auto* machine = [] {
    auto* made = new fake::FakeCuda(*kernels);
    made->facts.name = "shim";
    made->facts.clock = false;
    return made;
  }();
  return *machine;
}

Machine* shim_machine() { return &the_shim(); }
void seed_shim(uint64_t seed) { the_shim().seed(seed); }
std::vector<std::string> shim_refusals() { return the_shim().refused(); }

}  // namespace pvnet::cuda
