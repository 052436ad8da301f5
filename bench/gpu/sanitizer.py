"""compute-sanitizer over six small cases: memory, races, barriers, uninitialised reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from gpu.record import Record, program

# The slowest last: a row of the others is there when the step ends at its deadline.
TOOLS = ("memcheck", "synccheck", "initcheck", "racecheck")
CASES = 6
FOUND = 9  # its exit code where a tool found something
SUMMARY = re.compile(r"(ERROR|RACECHECK) SUMMARY: (.*)")
PLACES = ("/usr/local/cuda/bin/compute-sanitizer",)


def find() -> str | None:
    return shutil.which("compute-sanitizer") or next(filter(shutil.which, PLACES), None)


def body(record: Record, dry: bool) -> None:
    """All tools at the same time: they wait for the host most of the time."""
    cases = [sys.executable, "-m", "gpu.small_cases", *["--dry"] * dry]
    tool_path = find()
    if dry or tool_path is None:
        record.note("the cases ran without compute-sanitizer" + ("" if dry else ": it is missing"))
        done = subprocess.run(cases, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr)
        record.add(tool="none", said=_last(done.stdout), right=done.returncode == 0)
        return
    jobs = {}
    for tool in TOOLS:
        argv = [
            tool_path,
            "--tool",
            tool,
            f"--error-exitcode={FOUND}",
            "--target-processes=all",
            *cases,
        ]
        out = record.path.with_name(f"sanitizer-{tool}.log").open("w+")
        jobs[tool] = (subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT), out)
    for tool, (job, out) in jobs.items():
        code = job.wait()
        out.seek(0)
        text = out.read()
        found = SUMMARY.findall(text)
        finished = f"{CASES} of {CASES} cases" in text
        said = found[-1][1] if found else _last(text)
        record.add(tool=tool, said=said[:120], code=code, right=code == 0 and finished)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


if __name__ == "__main__":
    program("sanitizer", body)
