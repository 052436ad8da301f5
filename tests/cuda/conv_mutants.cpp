// SPDX-License-Identifier: Apache-2.0
// Cases of the convolution on kernels with faults (test_conv_mutants.py): with fault number
// argv[1], 0 being none. Prints what was noticed first.
#include <cstdio>
#include <cstdlib>

#include "conv_run.hpp"

using namespace pvnet::test;

int main(int argc, char** argv) {
  mutant_number = argc > 1 ? std::atoi(argv[1]) : 0;
  for (int i = 0; i < 30; ++i) {
    CaseMaker maker(4000 + i);
    const ConvCase c = maker.make<PV_BF16>(i);
    ConvRun<PV_BF16> run(c, i);
    if (c.folds || i % 4 == 3) run.use_specials();
    const Outcome outcome = run.run(i % 2 == 0);
    if (!outcome.complaint.empty() || !(outcome.relative() <= 3e-3)) {
      std::printf("case %d: %s, error %.1e\n", i, outcome.complaint.c_str(), outcome.relative());
      return 1;
    }
  }
  std::printf("nothing\n");
  return 0;
}
