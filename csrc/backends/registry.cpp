// SPDX-License-Identifier: Apache-2.0
#include "backends/registry.hpp"

#include <algorithm>
#include <array>

#include "backends/device_layout.hpp"
#include "backends/host_cost.hpp"
#include "backends/kernel_api.hpp"
#include "host/cpus.hpp"

namespace pvnet {
namespace {

constexpr std::array<const char*, 4> kIsas = {"avx512", "avx2", "neon", "scalar"};
// plain: every operation by the simple kernels; shim: on the machine of the tests.
constexpr std::array<const char*, 4> kCudaIsas = {"sm80", "plain", "shim", "shim-plain"};

// The messages are our own text: only quotes and backslashes need escaping.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char ch : text) {
    if (ch == '"' || ch == '\\') out += '\\';
    out += ch;
  }
  return out + "\"";
}

std::string entry(std::string_view name, std::string_view isa, std::string_view why) {
  return "{\"name\": " + quoted(name) + ", \"isa\": " + quoted(isa) +
         ", \"available\": " + (why.empty() ? "true" : "false") + ", \"why\": " + quoted(why) + "}";
}

int host_tiles(const HostKernels* kernels, Op op, const ConvShape& conv, const Shape& out) {
  if (op == Op::conv3d || op == Op::linear) {
    return kernels->conv_tiles(conv);
  }
  if (op == Op::group_norm) return conv.groups;
  return op == Op::global_pool ? 1 : out.h;
}

// Whole vectors of 16 elements: the widest there are. First caches have 64 sets of lines of 64
// bytes, and strides of two double the distance: so half of that.
constexpr Layout kHostLayout = {
    .halo = true,
    .wide_channels = kWideChannels,
    .pixel_elements_granule = 16,
    .pixel_alias = 2048,
    .slot_granule = 64,
    .dtypes = kHostDtypes,
    .tiles = host_tiles,
    .cost = host_cost,
    .most_lanes = usable_cpus,
    .adds_residuals = true,
};

// One entry for every table of host kernels, made at the first call.
const Backend* entry_of(const HostKernels& kernels) {
  static const auto entries = [] {
    std::array<Backend, (kIsas.size() + 1) * std::size(kHostDtypes)> all{};
    size_t n = 0;
    const auto add = [&](const HostKernels* k) {
      if (k != nullptr) all[n++] = {k->name, k->isa, kHostLayout, k};
    };
    for (const Dtype dtype : kHostDtypes) {
      add(&ref_kernels(dtype));
      for (const char* isa : kIsas) {
        const char* why = "";
        add(cpu_kernels(isa, &why, dtype));
      }
    }
    return all;
  }();
  const auto it = std::find_if(entries.begin(), entries.end(),
                               [&](const Backend& b) { return b.kernels == &kernels; });
  return &*it;
}

Result<const Backend*> cuda_backend(std::string_view isa) {
  if (isa.empty()) isa = kCudaIsas[0];
  static const auto entries = [] {
    std::array<Backend, kCudaIsas.size()> all{};
    for (size_t i = 0; i < all.size(); ++i) all[i] = {"cuda", kCudaIsas[i], kDeviceLayout, nullptr};
    return all;
  }();
  PVNET_TRY(cuda_machine(isa));
  const auto it =
      std::find_if(entries.begin(), entries.end(), [&](const Backend& b) { return b.isa == isa; });
  if (it != entries.end()) return &*it;
  return Status(Code::unsupported,
                "[find_backend] the CUDA backend has no such kernels: got isa=\"" +
                    std::string(isa) + "\", expected \"sm80\" or \"plain\". Leave isa empty.");
}

const Backend* test_backend = nullptr;

}  // namespace

void set_test_backend(const Backend* entry) { test_backend = entry; }

Result<const Backend*> find_backend(std::string_view name, std::string_view isa,
                                    std::string_view dtype) {
  const auto* const known = std::find_if(std::begin(kHostDtypes), std::end(kHostDtypes),
                                         [&](Dtype d) { return to_string(d) == dtype; });
  const Dtype on_host = known == std::end(kHostDtypes) ? Dtype::f32 : *known;
  if (name == "auto" || name == "cpu") {
    const char* why = "";
    const HostKernels* kernels = cpu_kernels(std::string(isa).c_str(), &why, on_host);
    if (kernels == nullptr) return Status(Code::unsupported, why);
    return entry_of(*kernels);
  }
  if (name == "ref") {
    if (isa.empty() || isa == ref_kernels().isa) return entry_of(ref_kernels(on_host));
    return Status(Code::unsupported,
                  "[find_backend] the reference backend has no such instruction set: got isa=\"" +
                      std::string(isa) + "\", expected \"\" or \"" + ref_kernels().isa +
                      "\". Leave isa empty.");
  }
  if (name == "cuda") return cuda_backend(isa);
  if (name == "test" && isa.empty() && test_backend != nullptr) return test_backend;
  return Status(Code::invalid_argument, "[find_backend] unknown backend: got \"" +
                                            std::string(name) +
                                            "\", expected \"auto\", \"cpu\", \"ref\" or \"cuda\". "
                                            "Take \"auto\" for the best one.");
}

std::string describe_backends() {
  std::string out = "[";
  for (const char* isa : kIsas) {
    const char* why = "";
    const bool available = cpu_kernels(isa, &why) != nullptr;
    out += entry("cpu", isa, available ? "" : why) + ", ";
  }
  out += entry("ref", ref_kernels().isa, "") + ", ";
  return out + entry("cuda", kCudaIsas[0], cuda_machine(kCudaIsas[0]).message()) + "]";
}

}  // namespace pvnet
