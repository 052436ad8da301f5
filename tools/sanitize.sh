#!/bin/bash
# Builds the C++ tests under AddressSanitizer + UndefinedBehaviorSanitizer, and those with threads
# under ThreadSanitizer, and runs them. Where clang has libFuzzer, the first build is that of
# tools/fuzz.sh, too: one set of objects for both.
#   tools/sanitize.sh [address|thread] [ctest arguments...]    without the first: both
#   tools/sanitize.sh build [address|thread] [targets...]      built only; targets of address
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/libfuzzer.sh

# Programs in which lanes share a tick, or threads share a stream.
threaded=(test_stream test_capi embed_c embed_cpp make_test_model)
threaded_tests='^(cpp_stream|cpp_capi|make_test_model|embed_c|embed_cpp)$'

configure() { # name, sanitizers, options of cmake
  local build="build/sanitize_$1" sanitizers="$2"
  shift 2
  # A build folder keeps its generator and its compiler.
  if [ ! -f "$build/CMakeCache.txt" ] && command -v ninja >/dev/null; then set -- -G Ninja "$@"; fi
  # -O1: half the time of compiling, and the kernels are not what is looked for.
  cmake -S . -B "$build" -DPVNET_TESTS=ON -DPVNET_PYTHON=OFF -DPVNET_SHARED=ON -DPVNET_CUDA=OFF \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" \
    -DPVNET_SANITIZE="$sanitizers" "$@" >/dev/null
}
compile() { # name, targets
  local build="build/sanitize_$1"
  shift
  cmake --build "$build" -j "${JOBS:-$(nproc)}" ${1:+--target "$@"}
}
build_address() { # targets, or none for all
  local clang options=()
  if clang="$(libfuzzer_clang)"; then
    options=(-DPVNET_FUZZ=ON -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_C_COMPILER="${clang/clang++/clang}")
  fi
  configure address address,undefined "${options[@]}"
  compile address "$@"
}
build_thread() {
  configure thread thread
  compile thread "${threaded[@]}"
}
run() { # name, ctest arguments
  local build="build/sanitize_$1"
  shift
  ctest --test-dir "$build" -j "${JOBS:-$(nproc)}" --output-on-failure "$@"
}

export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

only_build=
if [ "${1:-}" = build ]; then only_build=1; shift; fi
which="${1:-both}"
case "$which" in
  address | thread | both) [ $# -gt 0 ] && shift ;;
  *) which=both ;;
esac
if [ -n "$only_build" ]; then targets=("$@"); else targets=(); fi
if [ "$which" != thread ]; then build_address "${targets[@]}"; fi
if [ "$which" != address ]; then build_thread; fi
[ -z "$only_build" ] || exit 0
if [ "$which" != thread ]; then run address "$@"; fi
if [ "$which" != address ]; then run thread -R "$threaded_tests" "$@"; fi
