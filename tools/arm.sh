#!/bin/bash
# Builds the C++ tests for 64-bit Arm and runs them in qemu: NEON is tested without an Arm machine.
#   tools/arm.sh [ctest arguments...]
# Needs g++-aarch64-linux-gnu and qemu-user (names of Debian's packages).
set -euo pipefail
cd "$(dirname "$0")/.."

for program in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v "$program" >/dev/null && continue
  echo "[arm.sh] a program is missing: got no $program, expected one. Install g++-aarch64-linux-gnu and qemu-user." >&2
  exit 1
done
generator=()
if [ ! -f build/arm/CMakeCache.txt ] && command -v ninja >/dev/null; then generator=(-G Ninja); fi
cmake -S . -B build/arm "${generator[@]}" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake" \
  -DPVNET_TESTS=ON -DPVNET_PYTHON=OFF -DPVNET_CUDA=OFF >/dev/null
cmake --build build/arm -j "${JOBS:-$(nproc)}"
ctest --test-dir build/arm --output-on-failure -j "${JOBS:-$(nproc)}" "$@"
