// SPDX-License-Identifier: Apache-2.0
// make_test_model PATH [stages]: writes the small model of model_fixture.hpp, predictive when it
// has more than one stage. For tests in languages that cannot build a graph.
#include <cstdio>
#include <cstdlib>

#include "model_fixture.hpp"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: make_test_model PATH [stages]\n");
    return 2;
  }
  const int stages = argc > 2 ? std::atoi(argv[2]) : 1;
  pvnet::Graph graph = fixture::small_graph();
  if (stages > 1) {
    auto wired = graph.wire(pvnet::Wiring::predictive, stages);
    if (!wired.ok()) fixture::die(wired.status().message());
    graph = std::move(wired).value();
  }
  pvnet::Model model = fixture::model_of(std::move(graph));
  model.metadata["classes"] = "one,two,three,four,five";
  const pvnet::Status s = pvnet::save_model(argv[1], model);
  if (!s.ok()) std::fprintf(stderr, "%s\n", s.message().c_str());
  return s.ok() ? 0 : 1;
}
