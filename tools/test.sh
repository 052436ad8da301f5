#!/usr/bin/env bash
# The one test command: installs pvnet and all that its tests need into a virtual environment, builds
# and runs the C++ tests, then the Python tests. Extra arguments go to pytest, e.g.
#   tools/test.sh -k contract        tools/test.sh -m slow
# VENV (default .venv), PYTHON (default python3) and TORCH (default torch==2.13.0) may be set.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${VENV:-.venv}"

[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install "${TORCH:-torch==2.13.0}"
pip install "cmake>=3.24" ninja
export PATH="$PWD/$venv/bin:$PATH"

# The package and the C++ tests are one build: their core is compiled once. Without SKBUILD it is
# laid out as for C++ users again, with the objects that are there.
pip install ".[test]" -C build-dir=build/tests -C cmake.define.PVNET_TESTS=ON
cmake -S . -B build/tests -USKBUILD -DPVNET_TESTS=ON -DPVNET_PYTHON=OFF >/dev/null
cmake --build build/tests
export PVNET_EMBED_BUILD="$PWD/build/tests"  # tests/embed installs this build instead of making its own
ctest --test-dir build/tests -j "$(nproc)" --output-on-failure

# Not `python -m pytest`: that would put the source tree in front of the installed package.
# Many tests wait for processes and clocks: two more than there are CPUs run side by side.
if [ $# -gt 0 ]; then exec "$venv/bin/pytest" "$@"; fi
exec "$venv/bin/pytest" -n "$(($(nproc) + 2))" --dist loadfile -m "not slow and not gpu"
