// SPDX-License-Identifier: Apache-2.0
#include "plan/fingerprint.hpp"

#include <bit>
#include <cstring>
#include <string>

#include "backends/backend.hpp"
#include "backends/kernel_api.hpp"
#include "plan/device/program.hpp"
#include "plan/hash.hpp"
#include "plan/op_params.hpp"
#include "plan/pack.hpp"

namespace pvnet {
namespace {

constexpr uint64_t kPrime = 1099511628211ULL;

// Eight sums side by side, so that the speed is that of the memory. Every step is one to one: a
// single float that differs always shows.
uint64_t hash_floats(uint64_t h, const float* floats, size_t count) {
  constexpr size_t kSums = 8;
  uint64_t sums[kSums];
  for (size_t i = 0; i < kSums; ++i) sums[i] = h + i;
  size_t at = 0;
  for (; at + 2 * kSums <= count; at += 2 * kSums) {
    uint64_t words[kSums];
    std::memcpy(words, floats + at, sizeof(words));
    for (size_t i = 0; i < kSums; ++i) {
      sums[i] = (sums[i] ^ words[i]) * kPrime;
      sums[i] ^= sums[i] >> 29;
    }
  }
  h = hash_bytes(h, sums, sizeof(sums));
  return hash_bytes(h, floats + at, (count - at) * sizeof(float));
}

}  // namespace

uint64_t fingerprint_of(const Plan& plan) {
  uint64_t h = hash_text(kHashSeed, plan.graph.to_json());
  h = hash_text(h, plan.options.backend + "/" + plan.options.isa + "/" + plan.options.dtype);
  for (const Value& v : plan.values) {
    if (is_8_bit(v.dtype)) {
      const auto bits = std::bit_cast<uint32_t>(v.scale);
      h = hash_text(h, std::string(to_string(v.dtype)) + "*" + std::to_string(bits) + ";");
    }
    if (!v.persistent) continue;
    h = hash_text(h, std::to_string(v.offset) + "," + std::to_string(v.depth) + "," +
                         std::to_string(v.slot_bytes) + ";");
  }
  if (plan.device != nullptr) {
    h = hash_floats(h, plan.packed.floats(), plan.packed.size() / sizeof(float));
    return hash_floats(h, plan.device->floats.data(), plan.device->floats.size());
  }
  for (const PlanOp& op : plan.ops) {
    if (op.packed_offset < 0) continue;
    h = hash_floats(h, reinterpret_cast<const float*>(plan.packed.data() + op.packed_offset),
                    host_packed_floats(plan, op));
  }
  return h;
}

}  // namespace pvnet
