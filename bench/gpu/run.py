"""Runs the steps: each with a deadline and a record, whatever becomes of the others.

    bench/gpu.sh [--dry] [--again] [--only STEP ...] [--seconds N] [--records DIR]

Records and logs are written to build/gpu/<card>/. At the end a few files go to $OUT, or to
bench/results/<card>/ where OUT is not set: table.txt, records.json, logs.txt and pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from gpu import bundle, deadline, machine, record, summary
from gpu.steps import BUILD, EVERY, FIRST, WARM, Step

SECONDS = 530.0
AGAIN_SECONDS = 145.0
DRY_SECONDS = 900.0
END_SECONDS = 8.0  # kept for the table
LEAST_SECONDS = 5.0  # a step that has less does not begin
NO_TIME = "not begun: no time left"


class Run:
    """All steps of one call.

    Attributes:
        folder: of the records and logs.
        end: when the whole call must be over, by `time.monotonic`.
    """

    def __init__(self, folder: Path, *, dry: bool, seconds: float) -> None:
        self.folder, self.dry = folder, dry
        self.end = time.monotonic() + seconds
        self.facts = {**machine.facts(), "clocks": None, "bf16_tflops": None}
        self.warm: deadline.Job | None = None

    def left(self) -> float:
        return self.end - END_SECONDS - time.monotonic()

    def path(self, step: Step) -> Path:
        return self.folder / f"{step.name}.json"

    def log(self, step: Step) -> Path:
        return self.folder / f"{step.name}.log"

    def job(self, step: Step) -> deadline.Job:
        argv = [sys.executable, "-m", f"gpu.{step.name}", "--out", str(self.path(step))]
        seconds = min(step.dry_seconds if self.dry else step.seconds, self.left())
        self.path(step).unlink(missing_ok=True)
        return deadline.Job(
            argv + ["--dry"] * self.dry, seconds=seconds, log=self.log(step), env=self.env()
        )

    def env(self) -> dict[str, str]:
        """torch keeps what it compiles beside the records, so that a second call finds it."""
        cache = str((self.folder / "inductor").resolve())
        found = {"TORCHINDUCTOR_CACHE_DIR": cache, "TRITON_CACHE_DIR": cache + "/triton"}
        # Threads that wait for each other take long where others keep the CPUs busy.
        return {**found, "OMP_NUM_THREADS": "1"} if self.dry else found

    def do(self, step: Step) -> None:
        """One step, and its record with the facts of this machine."""
        if self.left() < LEAST_SECONDS:
            self.keep(step, NO_TIME, 0.0, None)
            return
        print(f"{step.name}: {step.asks}", file=sys.stderr)
        before = machine.clocks()
        ended = self.job(step).wait()
        self.keep(step, ended.words, ended.seconds, {"before": before, "after": machine.clocks()})
        print(f"{step.name}: {ended.words}, {ended.seconds:.1f} s", file=sys.stderr)

    def keep(self, step: Step, ended: str, seconds: float, clocks: dict | None) -> None:
        """Completes what the step wrote; without a file of its own it gets one without rows."""
        path = self.path(step)
        data = record.read(path) or record.Record.begin(path, step.name, dry=self.dry).data
        if ended == record.DONE and data["ended"] != record.DONE:
            ended = "failed: its record has no end"
        rate = [row["bf16_tflops"] for row in data["rows"] if "bf16_tflops" in row]
        if step.name == "card" and rate:
            self.facts["bf16_tflops"] = rate[0]
        data.update(
            ended=ended, seconds=seconds, facts={**data["facts"], **self.facts, "clocks": clocks}
        )
        record.write(path, data)

    def begin_warm(self) -> None:
        self.warm = self.job(WARM)

    def end_warm(self) -> None:
        """Waits until nothing else runs, at most until the deadline of the peers' compiler."""
        if self.warm is not None:
            ended = self.warm.wait()
            self.keep(WARM, ended.words, ended.seconds, None)
            print(f"warm: {ended.words}, {ended.seconds:.1f} s", file=sys.stderr)
            self.warm = None

    def do_all(self, steps: list[Step], *, warm: bool = True) -> None:
        """The first steps alone; then what measures no time, while the peers are compiled.

        Without `warm` the peers are those that an earlier call has compiled.
        """
        first = [s for s in steps if s in FIRST]
        rest = [s for s in steps if s not in FIRST]
        for step in first:
            self.do(step)
        if warm and any(s.name == "peers" for s in rest):
            self.begin_warm()
        while rest:
            quiet = [s for s in rest if not s.timed]
            beside = self.warm is not None and self.warm.running()
            if beside and not quiet:
                self.end_warm()
            step = quiet[0] if beside and quiet else rest[0]
            if step.timed:
                self.end_warm()
            rest.remove(step)
            self.do(step)
        self.end_warm()


def chosen(folder: Path, *, again: bool, only: list[str]) -> list[Step]:
    """The steps of this call: those asked for; with `again` those that are not right yet."""
    steps = list(EVERY)
    if only:
        return [s for s in steps if s.name in only]
    if not again:
        return steps
    found = {s.name: record.read(folder / f"{s.name}.json") for s in steps}
    return [s for s in steps if not _is_right(found[s.name]) or (s is BUILD and not _built())]


def _is_right(data: dict | None) -> bool:
    return data is not None and record.right(data)


def _built() -> bool:
    """Whether pvnet can be imported: a fresh machine has the records of another one at most."""
    return machine.output([sys.executable, "-c", "import pvnet; print(1)"], 60) != ""


def forget(folder: Path) -> None:
    """A new call has no records of an older one, which may be of other sources."""
    for path in [*folder.glob("*.json"), *folder.glob("*.log"), *folder.glob("*.png")]:
        path.unlink()


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/gpu.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--dry", action="store_true", help="every step small, without a GPU")
    parser.add_argument("--again", action="store_true", help="repeat what failed")
    parser.add_argument("--only", nargs="+", default=[], choices=[s.name for s in EVERY])
    parser.add_argument("--seconds", type=float, help="for the whole call")
    parser.add_argument("--records", type=Path, help="default build/gpu/<card>")
    return parser.parse_args(words)


def main() -> int:
    """0 when every step is right."""
    args = parse()
    if not args.dry and not machine.smi():
        print(
            "[gpu.sh] there is no NVIDIA card: nvidia-smi does not answer. Use --dry",
            file=sys.stderr,
        )
        return 2
    card = "dry" if args.dry else machine.folder(machine.smi().get("name"))
    folder = args.records or Path("build/gpu") / card
    folder.mkdir(parents=True, exist_ok=True)
    default = AGAIN_SECONDS if args.again else DRY_SECONDS if args.dry else SECONDS
    if args.again:
        bundle.unpack(Path("bench/results") / card, folder)
    elif not args.only:
        forget(folder)
    run = Run(folder, dry=args.dry, seconds=args.seconds or default)
    known = record.read(folder / "card.json")
    if known is not None:
        run.facts["bf16_tflops"] = known["facts"].get("bf16_tflops")
    steps = chosen(folder, again=args.again, only=args.only)
    if not steps:
        print("nothing failed: nothing to repeat", file=sys.stderr)
    run.do_all(steps, warm=not args.again)
    text = summary.text(folder, [s.name for s in (*EVERY, WARM)])
    to = os.environ.get("OUT") or (folder / "out" if args.dry else Path("bench/results") / card)
    bundle.pack(folder, Path(to), text)
    print(text)
    return summary.code(folder, [s.name for s in (steps or EVERY)])


if __name__ == "__main__":
    sys.exit(main())
