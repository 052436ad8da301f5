// SPDX-License-Identifier: Apache-2.0
#include "backends/registry.hpp"

#include <algorithm>
#include <array>

#include "backends/cuda/device.hpp"
#include "backends/kernel_api.hpp"
#include "host/cpus.hpp"

namespace pvnet {
namespace {

constexpr std::array<const char*, 4> kIsas = {"avx512", "avx2", "neon", "scalar"};
constexpr std::array<const char*, 2> kCudaIsas = {"sm80", "plain"};  // of users

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
  return op == Op::global_pool ? 1 : out.h;
}

constexpr std::array<Dtype, 1> kHostDtypes = {Dtype::f32};

// Whole vectors of 16 floats: the widest there are.
constexpr Layout kHostLayout{
    .halo = true,
    .wide_channels = 8,
    .pixel_granule = 16,
    .slot_granule = 16,
    .dtypes = kHostDtypes,
    .tiles = host_tiles,
    .cost = [](const Node& node) { return node.cost; },
    .most_lanes = usable_cpus,
};

// One entry for every table of host kernels, made at the first call.
const Backend* entry_of(const HostKernels& kernels) {
  static const auto entries = [] {
    std::array<Backend, kIsas.size() + 1> all{};
    size_t n = 0;
    const auto add = [&](const HostKernels* k) {
      if (k != nullptr) all[n++] = {k->name, k->isa, kHostLayout, k};
    };
    add(&ref_kernels());
    for (const char* isa : kIsas) {
      const char* why = "";
      add(cpu_kernels(isa, &why));
    }
    return all;
  }();
  const auto it = std::find_if(entries.begin(), entries.end(),
                               [&](const Backend& b) { return b.kernels == &kernels; });
  return &*it;
}

Result<const Backend*> cuda_entry(std::string_view isa) {
  auto device = cuda::find_device(isa);
  if (!device.ok()) return device.status();
  return Status(Code::internal, "no entry yet");
}

}  // namespace

Result<const Backend*> find_backend(std::string_view name, std::string_view isa) {
  if (name == "auto" || name == "cpu") {
    const char* why = "";
    const HostKernels* kernels = cpu_kernels(std::string(isa).c_str(), &why);
    if (kernels == nullptr) return Status(Code::unsupported, why);
    return entry_of(*kernels);
  }
  if (name == "ref") {
    if (isa.empty() || isa == ref_kernels().isa) return entry_of(ref_kernels());
    return Status(Code::unsupported,
                  "[find_backend] the reference backend has no such instruction set: got isa=\"" +
                      std::string(isa) + "\", expected \"\" or \"" + ref_kernels().isa +
                      "\". Leave isa empty.");
  }
  if (name == "cuda") return cuda_entry(isa);
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
  for (const char* isa : kCudaIsas) {
    const Status status = cuda::find_device(isa).status();
    out += entry("cuda", isa, status.message()) + (isa == kCudaIsas.back() ? "]" : ", ");
  }
  return out;
}

}  // namespace pvnet
