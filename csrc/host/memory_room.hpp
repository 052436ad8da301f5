// SPDX-License-Identifier: Apache-2.0
// How much memory this process can still be given. Linux promises more than it has and kills
// whoever takes it at its word, so what is needed is compared with what is there before it is asked
// for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "graph/size.hpp"

#include "graph/status.hpp"

namespace pvnet {

struct MemoryRoom {
  int64_t bytes = 0;
  std::string limit;  // which one leaves no more, for messages
};

// The least of what the machine has free (swap counted), what the control groups (v1 and v2) of the
// process allow, and RLIMIT_AS and RLIMIT_DATA. `root`: as for control_groups().
MemoryRoom memory_room(const std::string& root = "");

// Fails with Code::out_of_memory where `bytes` are more than there is room for. cure: a sentence.
Status need_memory(std::string_view where, std::string_view what, Size bytes, std::string_view cure,
                   const std::string& root = "");

}  // namespace pvnet
