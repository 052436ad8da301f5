#!/bin/bash
# Builds the C++ tests under AddressSanitizer + UndefinedBehaviorSanitizer and under ThreadSanitizer
# and runs them. tools/sanitize.sh [address|thread] [ctest arguments...]; without the first: both.
set -euo pipefail
cd "$(dirname "$0")/.."

run() { # name, sanitizers, ctest arguments
  local build="build/sanitize_$1" sanitizers="$2"
  shift 2
  cmake -S . -B "$build" -DPVNET_TESTS=ON -DPVNET_PYTHON=OFF -DPVNET_SHARED=ON \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPVNET_SANITIZE="$sanitizers" >/dev/null
  cmake --build "$build" -j "${JOBS:-$(nproc)}"
  ctest --test-dir "$build" --output-on-failure "$@"
}

export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

which="${1:-both}"
case "$which" in
  address | thread | both) [ $# -gt 0 ] && shift ;;
  *) which=both ;;
esac
if [ "$which" != thread ]; then run address address,undefined "$@"; fi
if [ "$which" != address ]; then run thread thread "$@"; fi
