#!/usr/bin/env bash
# Formatters and linters, as CI runs them. tools/lint.sh --fix lets the formatters write.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${VENV:-.venv}"
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check --quiet install \
  "ruff==0.17.6" "mypy==2.4.1" "clang-format==19.1.7" "numpy>=1.26"

mapfile -t cpp < <(git ls-files '*.cpp' '*.hpp' '*.h' '*.cuh' '*.cu' '*.inl' '*.c')
if [ "${1:-}" = --fix ]; then
  "$venv/bin/clang-format" -i "${cpp[@]}"
  "$venv/bin/ruff" check --fix .
else
  "$venv/bin/clang-format" --dry-run --Werror "${cpp[@]}"
  "$venv/bin/ruff" check .
fi
"$venv/bin/mypy"
"$venv/bin/python" tools/budget.py
