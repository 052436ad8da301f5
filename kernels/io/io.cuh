// SPDX-License-Identifier: Apache-2.0
// What begin and end share. Selects, not indices: a parameter that is indexed at run time would be
// copied to local memory.
#pragma once

#include "../program.h"
#include "../pv.cuh"

namespace pv {

enum { kFoundFirst = 0x7fffffff };  // pv_result.found of frame 0; less for later ones; 0: none

PV_DEVICE pv_request request_of(const pv_program& p, int number) {
  return number == 0 ? p.requests[0] : number == 1 ? p.requests[1] : p.requests[2];
}
PV_DEVICE pv_result* result_of(const pv_program& p, int number) {
  return static_cast<pv_result*>(number == 0   ? p.results[0]
                                 : number == 1 ? p.results[1]
                                               : p.results[2]);
}
// The outputs of a row.
PV_DEVICE float* outputs_of(const pv_program& p, int number, int row) {
  return reinterpret_cast<float*>(result_of(p, number) + 1) + row * p.row_floats;
}

}  // namespace pv
