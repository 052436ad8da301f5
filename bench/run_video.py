"""How much of the ticks' own speed is left when a run also draws, encodes or saves?

`python bench/run_video.py [VIDEO]`: `pvnet run` alone, with `--out` and with `--save`, in turns.
Without a video it makes one of 1280 x 544.

* ticks alone: ticks a second of tick time, of the run that does nothing else.
* left: ticks a second of the whole loop over that.
* CPU, ms: of all threads, a frame. Two cores cannot make more frames than 2000 / CPU a second.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pvnet.report import table
from pvnet.video import VideoWriter
from pvnet.video.synthetic import SyntheticVideo

SIZE = (544, 1280)
SHORT = 10  # frames of the run that only starts


def make_video(path: Path, frames: int) -> Path:
    """A moving figure, 1280 x 544."""
    with VideoWriter(path, 25.0, size=SIZE) as writer:
        for frame in SyntheticVideo(7, *SIZE, frames):
            writer.write(frame.image)
    return path


def run(video: Path, words: list[str], frames: int) -> tuple[dict[str, float], float]:
    """The JSON document of a run, and the seconds of CPU that the process took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pvnet", "run", str(video), *words, "--quiet", "--json"]
    command += ["--max-frames", str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), used


def main() -> None:
    """Times the three in turns and prints medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = args.video or make_video(Path(folder, "in.mp4"), args.frames)
        kinds = {
            "nothing else": [],
            "--out": ["--out", str(Path(folder, "out.mp4"))],
            "--save": ["--save", str(Path(folder, "out.jsonl"))],
        }
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in kinds}
        for number in range(args.rounds):
            for name, words in list(kinds.items())[:: 1 if number % 2 == 0 else -1]:
                _, start = run(video, words, SHORT)
                d, whole = run(video, words, args.frames)
                cpu_ms = 1e3 * (whole - start) / max(d["frames"] - SHORT, 1)
                found[name].append(
                    (d["throughput_ticks_per_s"], d["tick_rate_ticks_per_s"], cpu_ms)
                )
    medians = {
        name: [statistics.median(values) for values in zip(*rounds)]
        for name, rounds in found.items()
    }
    alone = medians["nothing else"][1]
    rows = [
        {"run": name, "ticks_per_s": whole, "left": whole / alone, "cpu_ms_per_frame": cpu_ms}
        for name, (whole, _, cpu_ms) in medians.items()
    ]
    if args.json:
        print(json.dumps({"ticks_alone_per_s": alone, "rows": rows}, indent=1))
        return
    print(f"ticks alone: {alone:.1f} a second")
    cells = [
        (r["run"], r["ticks_per_s"], f"{r['left']:.2f}", r["cpu_ms_per_frame"]) for r in rows
    ]
    print(table(("beside the ticks", "ticks/s", "left", "CPU, ms"), cells))


if __name__ == "__main__":
    main()
