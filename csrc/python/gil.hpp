// SPDX-License-Identifier: Apache-2.0
// Work without the GIL that survives the end of the interpreter.
#pragma once

#include <Python.h>
#include <cxxabi.h>
#include <unistd.h>

namespace pvnet::python {

// While the interpreter ends, CPython (before 3.14) ends a daemon thread that asks for the GIL by
// pthread_exit, which unwinds its stack: past destructors, which may not be unwound through, and
// references that must not be given back without the GIL. The thread sleeps here instead, as in
// CPython 3.14, until the process is gone.
inline void take_gil(PyThreadState* state) {
  try {
    PyEval_RestoreThread(state);
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
}

// Without the GIL for as long as it lives; what runs meanwhile must not touch Python.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  ~GilReleased() { take_gil(state_); }
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* const state_;
};

}  // namespace pvnet::python
