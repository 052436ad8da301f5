// SPDX-License-Identifier: Apache-2.0
// Networks in the grammar of graph documents, and documents that are anything.
#include <string_view>

#include "network.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Bytes in(data, size);
  if (in.chance(15) && size > 1) {
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto parsed = pvnet::Graph::from_json(text);
    if (parsed.ok()) fuzz::run(parsed.value(), in);
    return 0;
  }
  const pvnet::Graph graph = fuzz::graph_of(in);
  // What can be built can be written and read.
  if (graph.check().ok()) {
    const auto again = pvnet::Graph::from_json(graph.to_json());
    if (!again.ok()) fuzz::die("a graph does not come back: " + again.status().message());
    if (again.value().to_json() != graph.to_json()) fuzz::die("a graph comes back changed");
  }
  fuzz::run(graph, in);
  return 0;
}
