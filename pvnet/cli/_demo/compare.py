"""`pvnet demo --compare`: sequential beside depth-parallel, each result when it exists."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pvnet.cli._common.network_choice import Choice, compile_plan, load_trained
from pvnet.cli._common.progress import Progress
from pvnet.cli._common.report import Report
from pvnet.cli._common.sources import open_source, troubles
from pvnet.cli._demo.clock import Moment, moments
from pvnet.cli._demo.files import write_pictures
from pvnet.cli._demo.picture import ComparePicture, fitted
from pvnet.cli._demo.side import Side
from pvnet.errors import FileError
from pvnet.files import write_json
from pvnet.report import plain, table
from pvnet.runtime import Plan
from pvnet.video import Frame

_PLAYED_HZ = 50.0  # pictures per second of the file at most; more is slow motion
# Room in the time between frames over the median tick. A high percentile would let other programs
# on the machine set the rate; a tick that they stretch costs frames instead, and that is shown.
_ROOM = 1.05


def run(args: argparse.Namespace) -> Report:
    """Measure both, put them on one clock, write what was on show when."""
    sides = _sides(args)
    frames, found = _frames(args, sides[0].plan)
    measured = [side.measure(frames) for side in sides]
    rate_hz = args.fps or 1e3 / (_ROOM * float(np.median(measured[1])))
    with Progress("compare", total=len(sides), quiet=args.quiet) as bar:
        for side in sides:
            side.run(frames, rate_hz)
            bar.step()
    shown = moments(len(frames), rate_hz, args.moments)
    both = [m for m in shown if all(side.shown(m) is not None for side in sides)]
    played_hz = min(rate_hz * args.moments, _PLAYED_HZ)
    document: dict[str, Any] = {
        "source": args.compare,
        "frames": len(frames),
        **found,
        "rate_hz": rate_hz,
        "cut": sides[-1].choice.cut.document(),
        "rate_is": "given" if args.fps else "what the depth-parallel side can keep",
        "slowdown": args.slowdown,
        "moments_per_frame": args.moments,
        "scored_moments": len(both),
        "slow_motion": rate_hz * args.moments / played_hz,
        "sides": [side.facts(frames, both, rate_hz) for side in sides],
        "files": {},
    }
    if not args.no_files:
        picture = ComparePicture(frames, sides, rate_hz, _footer(document))
        document["files"] = _write(args, picture, shown, played_hz)
        write_json(args.out / "compare.json", plain(document), where="demo")
    return Report(document, _text(document))


def _sides(args: argparse.Namespace) -> list[Side]:
    """Sequential on one lane; predictive on all lanes, or on one that is measured for more."""
    simulated = args.lanes_simulated
    sequential = load_trained(args.model, "sequential", None)
    predictive = load_trained(args.model, "predictive", args.stages)

    def compiled(choice: Choice, lanes: int | None) -> Plan:
        return compile_plan(choice, argparse.Namespace(backend=args.backend, lanes=lanes))

    one = compiled(sequential, 1)
    many = compiled(predictive, 1 if simulated else args.lanes)
    return [
        Side("sequential, as fast as it can", sequential, one, args.slowdown),
        Side("depth-parallel, online", predictive, many, args.slowdown, simulated),
    ]


def _frames(args: argparse.Namespace, plan: Plan) -> tuple[list[Frame], dict[str, int]]:
    """The first frames of the source, with originals no larger than drawn; what went wrong."""
    name = args.compare
    if name == "synthetic":
        name = f"synthetic:seed={args.seed}"
    frames: list[Frame] = []
    with open_source(name, plan, fit=args.fit, damaged=args.damaged) as source:
        for frame in source:
            if frame.original is not None:
                frame = replace(frame, original=fitted(frame.original))
            frames.append(frame)
            if len(frames) == args.frames:
                break
    if not frames:
        raise FileError(
            f"[demo] nothing could be read from {args.compare!r}: got 0 frames, expected at least "
            "1. Check the video."
        )
    return frames, troubles(source.stats)


def _footer(d: dict[str, Any]) -> str:
    words = [f"{d['rate_hz']:.0f} frames/s ({d['rate_is']})"]
    if d["slow_motion"] > 1.05:
        words.append(f"shown {d['slow_motion']:.0f} times slower")
    if d["slowdown"] != 1:
        words.append(f"measured times x {d['slowdown']:g}")
    if any(side["lanes_simulated"] for side in d["sides"]):
        words.append("SIMULATED lanes: slowest lane's measured stages + rest of a tick")
    return "; ".join(words)


def _write(
    args: argparse.Namespace,
    picture: ComparePicture,
    shown: Sequence[Moment],
    played_hz: float,
) -> dict[str, str]:
    args.out.mkdir(parents=True, exist_ok=True)
    path = write_pictures(
        args.out / "compare.mp4",
        played_hz,
        lambda t: picture.draw(shown[t]),
        len(shown),
        quiet=args.quiet,
    )
    return {"video": str(path)}


def _text(d: dict[str, Any]) -> str:
    header = (
        *("side", "model", "stages", "lanes", "p50 ms", "p99 ms", "results", "missed"),
        *("age, ticks", "age, ms", "PCK@0.2 on show"),
    )
    rows = [
        (
            side["wiring"],
            f"{side['model']} ({side['weights']})",
            side["stages"],
            f"{side['lanes']} simulated" if side["lanes_simulated"] else str(side["lanes"]),
            side["computational_latency_p50_ms"],
            side["computational_latency_p99_ms"],
            side["results"],
            side["missed_frames"],
            side["age_mean_frames"],
            side["age_mean_ms"],
            side["pck_0_2"],
        )
        for side in d["sides"]
    ]
    lines = [
        f"{d['frames']} frames of {d['source']}: {_footer(d)}",
        "",
        table(header, rows),
        "",
        f"ages and PCK: means over {d['scored_moments']} moments, {d['moments_per_frame']} a "
        "frame, of the newest result that existed against the newest frame",
    ]
    lines += [f"wrote {path}" for path in d["files"].values()]
    return "\n".join(lines)
