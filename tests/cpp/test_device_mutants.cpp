// SPDX-License-Identifier: Apache-2.0
// Damaged tables and launch lists of a device: every field, at every place, in many ways. All that
// means something else is refused; what is not refused is named here, and says why.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "model/weight_source.hpp"
#include "plan/device/checks.hpp"

#include "check.hpp"
#include "device_fields.hpp"
#include "device_plans.hpp"
#include "plan_mutants.hpp"

namespace {

using namespace pvnet;
using device::Gather;
using device::LaunchList;
using device::Program;

struct Tally {
  int64_t tried = 0, refused = 0, escaped = 0;
};
using Tallies = std::map<std::string, Tally>;

bool starts_with_any(const std::string& field, const std::set<std::string>& of) {
  return std::any_of(of.begin(), of.end(), [&](const auto& s) { return field.starts_with(s); });
}

// Bits do not depend on the tiles of simple kernels, as long as they are inside the map.
const std::set<std::string> kFreeOfProgram = {"ops[].tile_"};
// gather: what is said of the way the list was made. phase: another one with the same ops.
// level, cost: for people and for choosing cuda_streams. after: more order than is needed, or the
// same by another way. tiles: blocks of a launch run in any order.
const std::set<std::string> kFreeOfList = {
    "gather", "phase", "launches[].level", "launches[].cost", "launches[].after", "tiles"};

void judge(Tallies& tallies, const std::string& field, const char* damage, const Status& status,
           bool free) {
  Tally& t = tallies[field];
  ++t.tried;
  if (!status.ok()) {
    ++t.refused;
  } else if (!free && ++t.escaped <= 3) {
    std::fprintf(stderr, "escaped: %s: %s\n", field.c_str(), damage);
  }
}

// Returns how many damaged ones were tried.
int64_t sum_up(const Tallies& tallies, const char* what, const std::set<std::string>& free) {
  Tally all;
  for (const auto& [field, t] : tallies) {
    all.tried += t.tried, all.refused += t.refused, all.escaped += t.escaped;
    // A field that no damage is refused for is not proved.
    const bool idle =
        field == "launches[].level" || field == "launches[].cost" || field == "gather";
    if (t.refused == 0 && !idle) std::fprintf(stderr, "never refused: %s\n", field.c_str());
    CHECK(t.refused > 0 || idle);
    CHECK(t.refused == t.tried || starts_with_any(field, free));
  }
  std::printf("  %s: %zu fields, %lld tried, %lld refused, %lld harmless, %lld escaped\n", what,
              tallies.size(), static_cast<long long>(all.tried),
              static_cast<long long>(all.refused),
              static_cast<long long>(all.tried - all.refused - all.escaped),
              static_cast<long long>(all.escaped));
  CHECK_EQ(all.escaped, 0);
  return all.tried;
}

// Two inputs of one mean and std may read each other's numbers.
bool scales_as(const Plan& plan, const Program& a, const Program& b) {
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    const int64_t n = 2 * static_cast<int64_t>(plan.input_scale[i].size());
    const int64_t from = a.inputs[i].floats, as = b.inputs[i].floats;
    const int64_t last = static_cast<int64_t>(a.floats.size()) - n;
    if (from < 0 || from > last) return false;  // `from + n` may overflow
    if (!std::equal(a.floats.begin() + from, a.floats.begin() + from + n, b.floats.begin() + as)) {
      return false;
    }
  }
  return true;
}

struct Sample {
  std::shared_ptr<const Plan> plan;
  Weights weights;
};
std::vector<Sample> samples(uint32_t first, uint32_t last) {
  std::vector<Sample> all;
  for (uint32_t seed = first; seed <= last; ++seed) {
    const Graph g = device_plans::random_graph(seed);
    all.push_back({device_plans::random_plan(seed), nets::random_weights(g, seed)});
  }
  for (const char* dtype : {"f32", "f16"}) {
    const Graph g = nets::must(device_plans::large(9).wire(Wiring::predictive, 3));
    const Weights w = nets::random_weights(g);
    all.push_back({device_plans::plan_of(g, w, dtype, "shim", 2), w});
  }
  return all;
}

}  // namespace

TEST(damaged_tables_are_refused) {
  Tallies tallies;
  for (const Sample& sample : samples(1, 40)) {
    Plan plan;
    fields::copy(*sample.plan, plan);
    const auto program = std::make_shared<Program>(*sample.plan->device);
    const Program right = *program;
    plan.device = program;
    const auto status = [&] {
      const Status tables = device::check(plan, *program);
      return tables.ok() ? device::check_weights(plan, *program, WholeWeights(sample.weights))
                         : tables;
    };
    CHECK(status().ok());
    const auto look = [&](const std::string& field, const char* damage) {
      if (fields::same(*program, right)) return;  // moved to where it was
      const bool inputs = field == "inputs[].floats";
      if (inputs && scales_as(plan, *program, right) && status().ok()) return;
      judge(tallies, field, damage, status(), starts_with_any(field, kFreeOfProgram));
    };
    mutants::Damage(plan, 7, 12, look).everywhere_in(*program);
    CHECK(fields::same(*program, right));
  }
  CHECK(sum_up(tallies, "tables", kFreeOfProgram) >= 1000);
}

TEST(damaged_weights_are_refused) {
  int tried = 0;
  for (const Sample& sample : samples(1, 20)) {
    Plan plan;
    fields::copy(*sample.plan, plan);
    if (plan.packed.size() == 0) continue;
    for (size_t at = 0; at < plan.packed.size(); at += 1 + plan.packed.size() / 40, ++tried) {
      plan.packed.data()[at] ^= std::byte{4};
      CHECK(!device::check_weights(plan, *plan.device, WholeWeights(sample.weights)).ok());
      CHECK(!validate(plan).ok());  // by the fingerprint
      plan.packed.data()[at] ^= std::byte{4};
    }
    CHECK(validate(plan).ok());
  }
  CHECK(tried > 300);
}

TEST(damaged_launch_lists_are_refused) {
  Tallies tallies;
  uint32_t seed = 0;
  for (const Sample& sample : samples(1, 24)) {
    Plan plan;
    fields::copy(*sample.plan, plan);
    for (const Gather how : device_plans::kGathers) {
      const int phase = static_cast<int>(++seed % (plan.hyper_period + 1)) - 1;
      LaunchList list = device::gather(plan, *plan.device, how, phase);
      const LaunchList right = list;
      const auto look = [&](const std::string& field, const char* damage) {
        if (fields::same(list, right)) return;
        judge(tallies, field, damage, device::check(plan, *plan.device, list),
              starts_with_any(field, kFreeOfList));
      };
      mutants::Damage(plan, seed, 12, look).everywhere_in(list);
    }
  }
  CHECK(sum_up(tallies, "launch lists", kFreeOfList) >= 1000);
}

// None of them follows from the others, and each keeps two launches apart that meet in memory.
TEST(every_edge_of_a_launch_list_is_needed) {
  int edges = 0;
  for (const Sample& sample : samples(1, 60)) {
    const Plan& plan = *sample.plan;
    for (const Gather how : device_plans::kGathers) {
      // The list of all phases orders operations that are never due together, too.
      const int first = plan.hyper_period == 1 ? -1 : 0;
      for (int phase = first; phase < std::min<int64_t>(plan.hyper_period, 4); ++phase) {
        LaunchList list = device::gather(plan, *plan.device, how, phase);
        for (device::Launch& launch : list.launches) {
          for (size_t i = 0; i < launch.after.size(); ++i, ++edges) {
            const std::vector<int> right = launch.after;
            launch.after.erase(launch.after.begin() + static_cast<std::ptrdiff_t>(i));
            CHECK(!device::check(plan, *plan.device, list).ok());
            launch.after = right;
          }
        }
      }
    }
  }
  std::printf("  %d edges\n", edges);
  CHECK(edges > 500);
}
