// SPDX-License-Identifier: Apache-2.0
// What a kernel did that a device forbids, or leaves undefined.
#pragma once

#include <stdexcept>
#include <string>

namespace shim {

// Thrown by Grid (grid.hpp); the launch is lost, the process goes on.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// For a thread of a block: ends the launch, whose Grid throws Error. Elsewhere: throws it.
[[noreturn]] void fail(const std::string& what);
// Where nothing can go on: memory was overwritten.
[[noreturn]] void fail_hard(const char* what);

}  // namespace shim
