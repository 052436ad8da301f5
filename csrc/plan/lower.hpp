// SPDX-License-Identifier: Apache-2.0
// First step of compile(): from nodes to values and ops. Sets everything but memory offsets, packed
// weights and schedules.
#pragma once

#include "plan/plan.hpp"

namespace pvnet {

Status lower(Plan& plan);

}  // namespace pvnet
