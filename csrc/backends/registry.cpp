// SPDX-License-Identifier: Apache-2.0
#include "backends/registry.hpp"

#include <array>

namespace pvnet {
namespace {

constexpr std::array<const char*, 4> kIsas = {"avx512", "avx2", "neon", "scalar"};

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

}  // namespace

Result<const Backend*> find_backend(std::string_view name, std::string_view isa) {
  if (name == "auto" || name == "cpu") {
    const char* why = "";
    const Backend* backend = cpu_backend(std::string(isa).c_str(), &why);
    if (backend == nullptr) return Status(Code::unsupported, why);
    return backend;
  }
  if (name == "ref") {
    if (isa.empty() || isa == ref_backend().isa) return &ref_backend();
    return Status(Code::unsupported,
                  "[find_backend] the reference backend has no such instruction set: got isa=\"" +
                      std::string(isa) + "\", expected \"\" or \"" + ref_backend().isa +
                      "\". Leave isa empty.");
  }
  if (name == "cuda") return cuda_backend();
  return Status(Code::invalid_argument, "[find_backend] unknown backend: got \"" +
                                            std::string(name) +
                                            "\", expected \"auto\", \"cpu\", \"ref\" or \"cuda\". "
                                            "Take \"auto\" for the best one.");
}

std::string describe_backends() {
  std::string out = "[";
  for (const char* isa : kIsas) {
    const char* why = "";
    const bool available = cpu_backend(isa, &why) != nullptr;
    out += entry("cpu", isa, available ? "" : why) + ", ";
  }
  out += entry("ref", ref_backend().isa, "") + ", ";
  const Result<const Backend*> cuda = cuda_backend();
  return out + entry("cuda", "", cuda.status().message()) + "]";
}

}  // namespace pvnet
