// SPDX-License-Identifier: Apache-2.0
// A recording as text for Chrome's and Perfetto's trace viewers.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.hpp"
#include "runtime/stream.hpp"

namespace pvnet::capi {

// {"traceEvents":[{"name","ph":"X","ts","dur" (us from the first event),"pid":place,"tid":lane,
// "args":{"tick","stage","lo","hi"}}]}
std::string trace_json(const Plan& plan, const std::vector<TraceEvent>& events);

}  // namespace pvnet::capi
