#!/usr/bin/env bash
# All open figures of a GPU by one command (bench/README.md):
#   bench/gpu.sh            on a machine with a GPU, under 9 minutes
#   bench/gpu.sh --again    at most 150 s: repeats what failed or had no time
#   bench/gpu.sh --dry      every step at a small size, without a GPU
set -euo pipefail
cd "$(dirname "$0")/.."
# Python is told to leave the folder it stands in out: pvnet is the installed one, with its core.
export PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONPATH="$PWD/bench${PYTHONPATH:+:$PYTHONPATH}"
own=python3
[ -x .venv/bin/python ] && own=.venv/bin/python
exec "${PYTHON:-$own}" -m gpu.run "$@"
