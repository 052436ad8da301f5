// SPDX-License-Identifier: Apache-2.0
// Plans of random networks, damaged in every field: the validator refuses the damage, or it is
// shown that nothing changes, in any order that the lanes may take, and that no memory outside is
// touched.
//
// PVNET_PLAN_GRAPHS=2000 tries as many networks, PVNET_PLAN_SEED=... others, PVNET_PLAN_ONE_IN=1
// all damage to each; PVNET_PLAN_TABLE=1 counts by field.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "plan_mutants.hpp"
#include "plan_repairs.hpp"
#include "plan_runner.hpp"
#include "random_nets.hpp"

#include "plan/plan.hpp"

// Memory of plans ends where a page begins that nobody may touch. (The sanitizers bring an
// allocator of their own, which sees the same.)
static bool guarded = false;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" void* aligned_alloc(size_t alignment, size_t size) {
  void* p = nullptr;
  if (!guarded) return posix_memalign(&p, alignment, size) == 0 ? p : nullptr;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t room = (size + page - 1) / page * page;
  p = mmap(nullptr, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(p) + page;
  if (mprotect(begin, room, PROT_READ | PROT_WRITE) != 0) return nullptr;
  return begin + (room - size);
}
#endif

namespace {

using pvnet::Plan;

// Fields whose damage is not refused, because nothing that a plan computes depends on them.
const std::map<std::string, const char*>& idle_fields() {
  static const std::map<std::string, const char*> fields = {
      {"options.pin", "where the threads of lanes run"},
      {"options.executor", "how launches reach a device: the result is the same"},
      {"options.fixed_lanes", "whether the caller may make a tick alone: the result is the same"},
      {"options.costs", "has been used by the schedule, which is proved itself"},
      {"options.batch", "how many rows a caller wants; the memory of a row does not depend on it"},
      {"ops[].cost", "has been used by the schedule, and is shown by tools"},
      {"ops[].reading", "has been used by the schedule, which is proved itself"},
      {"ops[].params.seg_c", "told to convolutions only"},
      {"ops[].params.seg_c[]", "told to convolutions only"},
      {"ops[].params.scale", "read by normalize only"},
      {"ops[].params.shift", "read by normalize only"},
  };
  return fields;
}
bool idle(const std::string& field) {
  // The shape of a convolution is told to convolutions only.
  return idle_fields().contains(field) || field.starts_with("ops[].params.conv.");
}

struct Tally {
  int64_t tried = 0, refused = 0, harmless = 0, escaped = 0;
  void add(const Tally& t) {
    tried += t.tried, refused += t.refused, harmless += t.harmless, escaped += t.escaped;
  }
};
std::map<std::string, Tally>& tallies() {
  static std::map<std::string, Tally> all;
  return all;
}

// What a user sees of a plan without running it.
bool same_facts(const Plan& a, const Plan& b) {
  bool same = a.outputs.size() == b.outputs.size() && a.hyper_period == b.hyper_period &&
              a.settle_ticks == b.settle_ticks && a.input_values.size() == b.input_values.size();
  for (size_t i = 0; same && i < a.outputs.size(); ++i) {
    const pvnet::OutputFacts &x = a.outputs[i], &y = b.outputs[i];
    same = x.name == y.name && x.shape == y.shape && x.age_ticks == y.age_ticks &&
           x.information_latency_ticks == y.information_latency_ticks &&
           x.warm_up_ticks == y.warm_up_ticks &&
           x.receptive_field_frames == y.receptive_field_frames;
  }
  return same;
}

class Trial {
 public:
  Trial(const Plan& good, uint32_t seed)
      : good_(good), seed_(seed), ticks_(runner::ticks_of(good)) {
    expected_ = runner::Runner(good_, runner::Order::forward).run(ticks_).outputs;
  }

  bool numbers() const {
    return std::none_of(expected_.begin(), expected_.end(), [](float x) { return std::isnan(x); });
  }

  // The damaged plan gives what the good one gives.
  bool harmless(const Plan& plan) const {
    return runner::survives([&] {
      guarded = !runner::kSanitized;
      if (!same_facts(plan, good_)) return false;
      for (const auto order :
           {runner::Order::forward, runner::Order::backward, runner::Order::turns}) {
        auto run = std::make_unique<runner::Runner>(plan, order);
        const runner::Outcome out = run->run(ticks_);
        if (!runner::kSanitized) (void)run.release();  // guarded memory is none of the heap's
        if (out.stray || !runner::same_bits(out.outputs, expected_)) return false;
      }
      return true;
    });
  }

  void judge(const Plan& plan, const std::string& field, const char* damage) const {
    Tally& t = tallies()[field];
    ++t.tried;
    const pvnet::Status status = pvnet::validate(plan);
    if (!status.ok()) {
      ++t.refused;
    } else if ((idle(field) && t.harmless >= 50) || harmless(plan)) {
      ++t.harmless;
    } else {
      if (++t.escaped <= 3) {
        std::fprintf(stderr, "escaped: seed %u (%s %s, lanes %d): %s: %s\n", seed_,
                     plan.options.backend.c_str(), plan.options.isa.c_str(), plan.options.lanes,
                     field.c_str(), damage);
      }
    }
  }

 private:
  const Plan& good_;
  const uint32_t seed_;
  const int ticks_;
  std::vector<float> expected_;
};

int from_environment(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::atoi(text);
}

void try_network(uint32_t seed, unsigned one_in) {
  const pvnet::Graph g = nets::RandomNet(seed).make_wired(4 + static_cast<int>(seed % 9));
  pvnet::CompileOptions o;
  o.backend = seed % 3 == 0 ? "ref" : "cpu";
  o.lanes = 1 + static_cast<int>(seed / 3 % 4);
  const char* const* isas = pvnet::cpu_isas();
  if (seed % 3 == 2 && isas[1] != nullptr) o.isa = isas[1];
  if (o.backend == "cpu" && seed % 2 == 0) o.algorithm = "winograd";
  if (seed % 4 == 1) o.dtype = "bf16";
  if (seed % 4 == 3) o.dtype = "int8", o.ranges = nets::some_ranges(g);
  if (seed % 5 != 0) o.costs = nets::heavy(g);
  auto compiled = Plan::compile(g, nets::random_weights(g, seed), o);
  if (!compiled.ok()) {
    std::fprintf(stderr, "seed %u: %s\n", seed, compiled.status().message().c_str());
    CHECK(compiled.ok());
    return;
  }
  const Plan& good = *compiled.value();
  const pvnet::Status status = pvnet::validate(good);
  if (!status.ok()) std::fprintf(stderr, "seed %u: %s\n", seed, status.message().c_str());
  CHECK(status.ok());
  const Trial trial(good, seed);
  CHECK(trial.numbers());
  CHECK(trial.harmless(good));

  Plan damaged;
  fields::copy(good, damaged);
  CHECK(pvnet::validate(damaged).ok());
  const auto in_place = [&](const std::string& field, const char* damage) {
    trial.judge(damaged, field, damage);
  };
  mutants::Damage(damaged, seed, one_in, in_place).everywhere();
  CHECK(pvnet::validate(damaged).ok());  // all of it was put back
  const auto of_copy = [&](const Plan& plan, const char* field, const char* damage) {
    trial.judge(plan, field, damage);
  };
  mutants::Consistent(good, seed, of_copy).everywhere();
}

void print_tallies() {
  Tally all;
  for (const auto& [field, t] : tallies()) {
    if (std::getenv("PVNET_PLAN_TABLE") != nullptr) {
      std::printf("  %-44s tried %7lld refused %7lld harmless %6lld escaped %lld\n", field.c_str(),
                  static_cast<long long>(t.tried), static_cast<long long>(t.refused),
                  static_cast<long long>(t.harmless), static_cast<long long>(t.escaped));
    }
    all.add(t);
  }
  std::printf("  %zu fields: %lld damaged plans, %lld refused, %lld harmless, %lld escaped\n",
              tallies().size(), static_cast<long long>(all.tried),
              static_cast<long long>(all.refused), static_cast<long long>(all.harmless),
              static_cast<long long>(all.escaped));
  CHECK_EQ(all.escaped, 0);
}

}  // namespace

TEST(no_damaged_plan_changes_a_result_or_touches_memory_outside) {
  const int graphs = from_environment("PVNET_PLAN_GRAPHS", 50);
  const auto first = static_cast<uint32_t>(from_environment("PVNET_PLAN_SEED", 1));
  const auto one_in = static_cast<unsigned>(from_environment("PVNET_PLAN_ONE_IN", 8));
  for (int i = 0; i < graphs; ++i) try_network(first + static_cast<uint32_t>(i), one_in);
  print_tallies();
  // A field that no damage is refused for is not proved.
  for (const auto& [field, t] : tallies()) {
    if (t.refused == 0 && !idle(field)) std::fprintf(stderr, "never refused: %s\n", field.c_str());
    CHECK(t.refused > 0 || idle(field));
  }
}
