// SPDX-License-Identifier: Apache-2.0
// The convolution on tensor cores (kernels/conv/conv.cuh), on the shim, against float64.
//
// PVNET_CONV_CASES: cases of each dtype instead of 80. PVNET_CONV_SEED: other cases.
#include <cstdlib>
#include <set>

#include "check.hpp"
#include "conv_run.hpp"

using namespace pvnet::test;

namespace {

int number_from(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}
constexpr double bar(pv_dtype d) { return d == PV_BF16 ? 3e-3 : d == PV_F16 ? 5e-4 : 2e-6; }

// What the cases of a dtype have met.
struct Met {
  std::set<int> segments, taps, splits, windows, strides, dilations, acts, folds, odd_out;
  void add(const ConvCase& c, int n_splits) {
    segments.insert(static_cast<int>(c.segments.size()));
    taps.insert(c.kt), splits.insert(n_splits), acts.insert(c.act);
    windows.insert({c.kh, c.kw}), strides.insert({c.sh, c.sw}), dilations.insert({c.dh, c.dw});
    folds.insert(c.folds), odd_out.insert(c.out_before % 2 + 2 * (c.out_c % 2));
  }
  bool all() const {
    return segments.size() == 4 && taps.size() == 3 && splits.size() == 4 && windows.size() == 7 &&
           strides.size() == 2 && dilations.size() == 2 && acts.size() == 4 && folds.size() == 2 &&
           odd_out.size() == 4;
  }
};

template <pv_dtype D>
void compare(const char* name) {
  const int before = check::failures();
  const int cases = number_from("PVNET_CONV_CASES", 80), seed = number_from("PVNET_CONV_SEED", 1);
  double worst = 0;
  Met met;
  for (int i = 0; i < cases; ++i) {
    CaseMaker maker(1000003ull * seed + i * 4 + D);
    const ConvCase c = maker.make<D>(i);
    ConvRun<D> run(c, maker.rng()());
    const Outcome outcome = run.run(i % 2 == 0);
    met.add(c, run.splits());
    worst = std::max(worst, outcome.relative());
    CHECK_EQ(outcome.complaint, "");
    CHECK(outcome.relative() <= bar(D));
    if (check::failures() > before) {
      std::fprintf(stderr, "%s, case %d: %.2e\n", name, i, outcome.relative());
      return;
    }
  }
  CHECK(cases < 80 || met.all());
  std::printf("%s: worst error %.2e of the norm\n", name, worst);
}

}  // namespace

TEST(bf16_is_near_float64) { compare<PV_BF16>("bf16"); }
TEST(f16_is_near_float64) { compare<PV_F16>("f16"); }
TEST(tf32_is_near_float64) { compare<PV_TF32>("tf32"); }
TEST(f32_is_near_float64) { compare<PV_F32>("f32"); }
