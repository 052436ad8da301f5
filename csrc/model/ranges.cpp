// SPDX-License-Identifier: Apache-2.0
#include "model/ranges.hpp"

#include <cmath>
#include <limits>
#include <string_view>

#include "graph/json.hpp"
#include "model/errors.hpp"

namespace pvnet {

using model::failure;
using model::quoted;

static Status refused(std::string_view what, std::string_view got, std::string_view expected) {
  return failure(Code::file, "load_model", what, got, expected,
                 "Calibrate the model again, and save the ranges with pvnet.save");
}

static bool is_range(const json::Value& ends, std::pair<float, float>* range) {
  using Kind = json::Value::Kind;
  if (!ends.is(Kind::array) || ends.items().size() != 2) return false;
  constexpr double kLargest = std::numeric_limits<float>::max();
  for (const json::Value& end : ends.items()) {
    if (!end.is(Kind::number) || std::fabs(end.as_number()) > kLargest) return false;
  }
  *range = {static_cast<float>(ends.items()[0].as_number()),
            static_cast<float>(ends.items()[1].as_number())};
  return range->first <= 0.0F && range->second >= 0.0F;
}

Result<Ranges> stored_ranges(const Metadata& metadata) {
  Ranges ranges;
  const auto it = metadata.find(kRangesKey);
  if (it == metadata.end()) return ranges;
  const std::string where = "metadata '" + std::string(kRangesKey) + "'";
  const Result<json::Value> parsed = json::parse(it->second, "load_model");
  if (!parsed.ok() || !parsed.value().is(json::Value::Kind::object)) {
    return refused(where + " has no ranges", quoted(it->second),
                   R"(JSON such as {"node": [-1.5, 2]})");
  }
  for (const auto& [name, ends] : parsed.value().members()) {
    if (!is_range(ends, &ranges[name])) {
      return refused(where + " has no range of node " + quoted(name), quoted(ends.dump()),
                     "two finite numbers of f32, low <= 0 <= high");
    }
  }
  return ranges;
}

}  // namespace pvnet
