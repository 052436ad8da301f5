#!/bin/bash
# Builds the C++ tests under AddressSanitizer + UndefinedBehaviorSanitizer, and those with threads
# under ThreadSanitizer, and runs them.
#   tools/sanitize.sh [address|thread] [ctest arguments...]    without the first: both
#   tools/sanitize.sh build                                    both, built only
set -euo pipefail
cd "$(dirname "$0")/.."

# Programs in which lanes share a tick, or threads share a stream.
threaded=(test_stream test_shared_lists test_capi embed_c embed_cpp make_test_model)
threaded_tests='^(cpp_stream|cpp_shared_lists|cpp_capi|make_test_model|embed_c|embed_cpp)$'

build() { # name, sanitizers, targets
  local build="build/sanitize_$1" sanitizers="$2"
  shift 2
  # A build folder keeps its generator.
  local generator=()
  if [ ! -f "$build/CMakeCache.txt" ] && command -v ninja >/dev/null; then generator=(-G Ninja); fi
  # -O1: half the time of compiling, and the kernels are not what is looked for.
  cmake -S . -B "$build" "${generator[@]}" -DPVNET_TESTS=ON -DPVNET_PYTHON=OFF -DPVNET_SHARED=ON \
    -DPVNET_CUDA=OFF \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1" \
    -DPVNET_SANITIZE="$sanitizers" >/dev/null
  cmake --build "$build" -j "${JOBS:-$(nproc)}" ${1:+--target "$@"}
}
build_address() { build address address,undefined; }
build_thread() { build thread thread "${threaded[@]}"; }
run() { # name, ctest arguments
  local build="build/sanitize_$1"
  shift
  ctest --test-dir "$build" --output-on-failure -j "${JOBS:-$(nproc)}" "$@"
}

export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

which="${1:-both}"
case "$which" in
  address | thread | both | build) [ $# -gt 0 ] && shift ;;
  *) which=both ;;
esac
if [ "$which" != thread ]; then build_address; fi
if [ "$which" != address ]; then build_thread; fi
[ "$which" != build ] || exit 0
if [ "$which" != thread ]; then run address "$@"; fi
if [ "$which" != address ]; then run thread -R "$threaded_tests" "$@"; fi
