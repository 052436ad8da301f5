// SPDX-License-Identifier: Apache-2.0
// What the profiler of tests was told (nvtx_counter.cpp), as lines. Include it once in a program.
#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace nvtx_lines {

// Before any stream: NVTX looks once.
[[maybe_unused]] const int named = setenv("NVTX_INJECTION64_PATH", NVTX_COUNTER, 1);

struct Line {
  std::string kind;  // push, pop, domain, category
  int thread = 0, depth = 0, category = 0;
  int64_t payload = 0;
  std::string domain, message;
};

inline std::vector<Line> take() {
  void* const library = dlopen(NVTX_COUNTER, RTLD_NOW);
  const auto text = reinterpret_cast<const char* (*)()>(dlsym(library, "nvtx_counter_take"))();
  std::istringstream in(text);
  std::vector<Line> out;
  for (std::string row; std::getline(in, row);) {
    std::istringstream words(row);
    Line line;
    words >> line.kind;
    if (line.kind == "push" || line.kind == "pop") words >> line.thread >> line.depth;
    words >> line.domain;
    if (line.kind == "push" || line.kind == "category") words >> line.category;
    if (line.kind == "push") words >> line.payload;
    std::getline(words >> std::ws, line.message);
    out.push_back(line);
  }
  dlclose(library);
  return out;
}

inline std::vector<int64_t> payloads(const std::vector<Line>& lines, const std::string& message) {
  std::vector<int64_t> out;
  for (const Line& line : lines) {
    if (line.kind == "push" && line.message == message) out.push_back(line.payload);
  }
  return out;
}

// (tick, stage) and (tick, node) of ranges.
using Counts = std::map<std::pair<int64_t, std::string>, int>;
inline Counts stages_of(const std::vector<Line>& lines) {
  Counts out;
  for (const Line& line : lines) {
    if (line.kind == "push" && line.category == 2) ++out[{line.payload, line.message}];
  }
  return out;
}

inline bool balanced(const std::vector<Line>& lines) {
  std::map<int, int> depth;  // by thread
  for (const Line& line : lines) {
    if (line.kind == "push" && line.depth != depth[line.thread]++) return false;
    if (line.kind == "pop" && line.depth != --depth[line.thread]) return false;
  }
  return std::all_of(depth.begin(), depth.end(), [](const auto& d) { return d.second == 0; });
}

}  // namespace nvtx_lines
