// SPDX-License-Identifier: Apache-2.0
// Runs a plan without a Stream: one row, no threads, in the least lucky order that its schedule
// allows, over memory that tells when it is touched from outside. What a plan may not depend on
// (unwritten slots, scratch of earlier ticks, padding of pixels) is NaN.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "backends/backend.hpp"
#include "graph/firing.hpp"
#include "runtime/cpu/execute.hpp"
#include "runtime/cpu/row_memory.hpp"

#include "plan/plan.hpp"

namespace runner {

// Lists of one superstep: in the order of lanes, the other way round, or by turns.
enum class Order { forward, backward, turns };

struct Outcome {
  std::vector<float> outputs;  // of all ticks
  bool stray = false;          // something beyond the arena was written
};

constexpr int64_t kSlack = 256;  // bytes behind an arena, as a Stream has them

class Runner {
 public:
  Runner(const pvnet::Plan& plan, Order order) : plan_(plan), order_(order), executor_(plan) {
    row_.state = pvnet::AlignedBytes(static_cast<size_t>(plan.state_bytes + kSlack));
    row_.scratch = pvnet::AlignedBytes(static_cast<size_t>(plan.scratch_bytes + kSlack));
  }

  Outcome run(int ticks) {
    Outcome out;
    for (int64_t t = 0; t < ticks; ++t) {
      poison(t);
      load(t);
      tick(t);
      store(t, out.outputs);
    }
    out.stray =
        touched(row_.state, plan_.state_bytes) || touched(row_.scratch, plan_.scratch_bytes);
    return out;
  }

 private:
  const pvnet::Plan& plan_;
  const Order order_;
  pvnet::Executor executor_;
  pvnet::RowMemory row_;

  static bool touched(const pvnet::AlignedBytes& arena, int64_t used) {
    for (int64_t i = used; i < used + kSlack; ++i) {
      if (arena.data()[i] != std::byte{0}) return true;
    }
    return false;
  }

  void poison(int64_t t) {
    for (const pvnet::Value& v : plan_.values) {
      if (!v.persistent) continue;
      const int64_t newest = t == 0 ? -1 : pvnet::firing_at(v.clock, t - 1, 0);
      for (int64_t slot = std::max<int64_t>(newest + 1, 0); slot < v.depth; ++slot) {
        auto* const pixels = reinterpret_cast<std::byte*>(row_.at(v, slot));
        const int64_t element = pvnet::element_bytes(v.dtype);
        for (int y = 0; y < v.shape.h; ++y) {
          std::memset(pixels + y * v.row_stride * element, 0xFF,
                      static_cast<size_t>(v.shape.w * v.pixel_stride * element));
        }
      }
    }
    std::memset(row_.scratch.data(), 0xFF, static_cast<size_t>(plan_.scratch_bytes));
  }

  // Floats and bytes by turns.
  void load(int64_t t) {
    for (size_t i = 0; i < plan_.input_values.size(); ++i) {
      const pvnet::Value& v = plan_.values[static_cast<size_t>(plan_.input_values[i])];
      const pvnet::MapView out{pvnet::geometry_of(v), row_.at(v, t)};
      std::mt19937 rng(static_cast<uint32_t>(t * 7919 + static_cast<int64_t>(i)));
      const int64_t plane = int64_t{v.shape.h} * v.shape.w;
      if (t % 2 == 0) {
        std::vector<float> f(static_cast<size_t>(plane * v.shape.c));
        for (float& x : f) x = static_cast<float>(rng() % 2001) / 1000.0f - 1.0f;
        const int64_t strides[3] = {plane, v.shape.w, 1};
        plan_.backend->kernels->load_f32(f.data(), strides, out);
      } else {
        std::vector<uint8_t> u(static_cast<size_t>(plane * v.shape.c));
        for (uint8_t& x : u) x = static_cast<uint8_t>(rng());
        plan_.backend->kernels->load_u8(u.data(), int64_t{v.shape.w} * v.shape.c,
                                        plan_.input_scale[i].data(), plan_.input_shift[i].data(),
                                        out);
      }
    }
  }

  void tick(int64_t t) {
    const auto& schedule = plan_.schedule[static_cast<size_t>(t % plan_.hyper_period)];
    for (const pvnet::Superstep& superstep : schedule.supersteps) {
      const size_t lanes = superstep.lanes.size();
      if (order_ != Order::turns) {
        for (size_t l = 0; l < lanes; ++l) {
          const auto& list = superstep.lanes[order_ == Order::forward ? l : lanes - 1 - l];
          for (const pvnet::TileRange& r : list) executor_.run(r, row_, t);
        }
        continue;
      }
      bool more = true;
      for (size_t i = 0; more; ++i) {
        more = false;
        for (size_t l = lanes; l-- > 0;) {
          if (i >= superstep.lanes[l].size()) continue;
          more = true;
          executor_.run(superstep.lanes[l][i], row_, t);
        }
      }
    }
  }

  void store(int64_t t, std::vector<float>& to) const {
    for (const pvnet::OutputFacts& o : plan_.outputs) {
      for (const pvnet::Segment& s : o.source) {
        const pvnet::Value& v = plan_.values[static_cast<size_t>(s.value)];
        const size_t at = to.size();
        to.resize(at + static_cast<size_t>(v.shape.c) * static_cast<size_t>(v.shape.h) *
                           static_cast<size_t>(v.shape.w));
        const int64_t firing = pvnet::resolve_firing(s, t, 0);
        plan_.backend->kernels->store_f32(pvnet::geometry_of(v),
                                          firing < 0 ? nullptr : row_.at(v, firing), to.data() + at,
                                          0, v.shape.h);
      }
    }
  }
};

// Until every ring has gone round and the schedule has repeated.
inline int ticks_of(const pvnet::Plan& plan) {
  int64_t ticks = plan.settle_ticks + 2 * plan.hyper_period + 2;
  for (const pvnet::Value& v : plan.values) {
    ticks = std::max(ticks, v.clock.origin + (v.depth + int64_t{2}) * v.clock.period);
  }
  return static_cast<int>(std::min<int64_t>(ticks, 150));
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // which sees every stray access, and makes a fork slow
#else
constexpr bool kSanitized = false;
#endif

// In a child process, so that a crash or a hang is an answer.
template <class Judge>
bool survives(const Judge& judge) {
  if (kSanitized) return judge();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(judge() ? 0 : 1);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

}  // namespace runner
