// SPDX-License-Identifier: Apache-2.0
// An entry of the registry: what compile() and a Stream need of a machine.
#pragma once

#include "backends/layout.hpp"

namespace pvnet {

struct HostKernels;

struct Backend {
  const char* name = "";  // "ref", "cpu", "cuda"
  const char* isa = "";
  Layout layout;
  const HostKernels* kernels = nullptr;  // nullptr: they run on a device (plan/device/)

  int tiles(Op op, const ConvShape& conv, const Shape& out) const {
    return layout.tiles(kernels, op, conv, out);
  }
};

}  // namespace pvnet
