#!/usr/bin/env bash
# Builds the fuzz targets with clang, AddressSanitizer and UndefinedBehaviorSanitizer, and lets each
# search for some seconds from its corpus. tools/fuzz.sh [seconds] [target...]
# What a target finds lies in build/fuzz/found; the program's own message names the input.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-30}"
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(graph model_file snapshot frame calls)

clang="${CLANGXX:-$(command -v clang++ || true)}"
probe="$(mktemp -d)"
trap 'rm -rf "$probe"' EXIT
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$probe/p.cpp"
if [ -z "$clang" ] || ! "$clang" -fsanitize=fuzzer,address "$probe/p.cpp" -o "$probe/p" 2>"$probe/why"; then
  echo "fuzz: left out: no clang++ with libFuzzer here. Install clang and its runtime (libclang-rt-dev)."
  exit 0
fi

# -O1: the kernels are not what is searched, and they take most of the time to compile.
cmake -S . -B build/fuzz -G Ninja -DPVNET_CUDA=OFF -DPVNET_FUZZ=ON -DPVNET_TESTS=OFF -DPVNET_PYTHON=OFF -DPVNET_SHARED=OFF \
  -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1" \
  -DPVNET_SANITIZE=address,undefined >/dev/null
cmake --build build/fuzz
export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
mkdir -p build/fuzz/found
search() {
  local target="$1" work="build/fuzz/corpus/$1"
  mkdir -p "$work"
  "build/fuzz/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 \
    -max_len=4096 -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/found/$target-" \
    "$work" "tests/fuzz/corpus/$target" >"build/fuzz/$target.log" 2>&1
}

# As many side by side as there are CPUs; every report is shown, also of those after a failure.
failed=0
for ((i = 0; i < ${#targets[@]}; i += $(nproc))); do
  batch=("${targets[@]:i:$(nproc)}")
  pids=()
  for target in "${batch[@]}"; do
    search "$target" &
    pids+=($!)
  done
  for j in "${!batch[@]}"; do
    wait "${pids[j]}" || failed=1
    echo "fuzz: ${batch[j]}, $seconds s"
    tail -n 40 "build/fuzz/${batch[j]}.log"
  done
done
exit "$failed"
