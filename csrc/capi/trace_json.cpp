// SPDX-License-Identifier: Apache-2.0
#include "capi/trace_json.hpp"

#include <algorithm>
#include <cstdio>

namespace pvnet::capi {

std::string trace_json(const Plan& plan, const std::vector<TraceEvent>& events) {
  int64_t first_ns = events.empty() ? 0 : events.front().begin_ns;
  for (const TraceEvent& e : events) first_ns = std::min(first_ns, e.begin_ns);
  std::string json = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  const char* comma = "";
  for (const TraceEvent& e : events) {
    const PlanOp& op = plan.ops[static_cast<size_t>(e.op)];
    char numbers[256];
    // Names need no escapes: letters, digits, '_', '/', '-' and '+' only.
    std::snprintf(numbers, sizeof(numbers),
                  "\",\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%lld.%03d,\"dur\":%lld.%03d,"
                  "\"args\":{\"tick\":%lld,\"stage\":%d,\"lo\":%d,\"hi\":%d}}",
                  static_cast<int>(e.place), e.lane,
                  static_cast<long long>((e.begin_ns - first_ns) / 1000),
                  static_cast<int>((e.begin_ns - first_ns) % 1000),
                  static_cast<long long>((e.end_ns - e.begin_ns) / 1000),
                  static_cast<int>((e.end_ns - e.begin_ns) % 1000), static_cast<long long>(e.tick),
                  op.stage, e.lo, e.hi);
    json.append(comma).append("{\"name\":\"");
    json.append(plan.op_name(static_cast<size_t>(e.op))).append(numbers);
    comma = ",";
  }
  return json + "]}";
}

}  // namespace pvnet::capi
