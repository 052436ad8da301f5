// SPDX-License-Identifier: Apache-2.0
// Packed weights of a plan that are not those of the right node, and the fingerprint of them.
#include <string>

#include "model/weight_source.hpp"
#include "plan/plan.hpp"

#include "nets.hpp"
#include "plan_fields.hpp"
#include "plan_samples.hpp"

#if __has_include("plan/proof/proof.hpp")
#include "plan/proof/proof.hpp"
#endif

using pvnet::Plan;
using samples::plans;
using samples::refused;

TEST(packed_weights_of_another_node_are_refused) {
  for (const auto& p : plans()) {
    for (size_t i = 0; i < p->ops.size(); ++i) {
      if (p->ops[i].packed_offset < 0) continue;
      for (const int64_t at : {int64_t{-1}, int64_t{-2}, int64_t{1} << 40}) {
        CHECK(refused(*p, [&](Plan& c) {
          const auto bytes = static_cast<int64_t>(c.packed.size());
          c.ops[i].packed_offset = at == -1   ? bytes - 4
                                   : at == -2 ? c.ops[i].packed_offset + 2
                                              : at;
          return true;
        }));
      }
      // The fingerprint is that of the weights: here it is not made anew.
      Plan c;
      fields::copy(*p, c);
      c.packed.floats()[c.ops[i].packed_offset / 4] += 1.0f;
      CHECK(!pvnet::validate(c).ok());
    }
  }
}

TEST(plans_of_other_weights_have_another_fingerprint) {
  const pvnet::Graph g = samples::twins();
  pvnet::CompileOptions o;
  o.lanes = 1;
  const auto of = [&](uint32_t seed) {
    return nets::must(Plan::compile(g, nets::random_weights(g, seed), o))->fingerprint;
  };
  CHECK_EQ(of(1), of(1));
  CHECK(of(1) != of(2));
}

#if __has_include("plan/proof/proof.hpp")
TEST(weights_packed_in_the_wrong_place_are_refused_by_compile) {
  int tried = 0;
  for (const auto& p : plans()) {
    const pvnet::Weights weights = nets::random_weights(p->graph);
    const auto proves = [](const Plan& plan, const pvnet::Weights& given) {
      const pvnet::WholeWeights source(given);
      return pvnet::proof::prove_packed(plan, &source).ok();
    };
    CHECK(proves(*p, weights));
    for (size_t i = 0; i < p->ops.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (p->ops[i].packed_offset < 0 || p->ops[j].packed_offset < 0) continue;
        Plan c;
        fields::copy(*p, c);
        std::swap(c.ops[i].packed_offset, c.ops[j].packed_offset);
        CHECK(!proves(c, weights));
        ++tried;
      }
    }
    for (const char* node : {"a.weight", "a.bias", "b.norm.running_mean"}) {
      pvnet::Weights others = weights;
      if (!others.contains(node)) continue;
      others.find(node)->second.data[0] += 0.5f;
      CHECK(!proves(*p, others));
      others.find(node)->second.data.pop_back();
      CHECK(!proves(*p, others));
      others.erase(node);
      CHECK(!proves(*p, others));
    }
  }
  CHECK(tried > 0);
}
#endif
