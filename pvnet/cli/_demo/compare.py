"""Sequential beside depth-parallel on as many lanes, each result when it exists."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from pvnet import models
from pvnet.cli._common.network_choice import (
    JOINTS_OF_PEOPLE,
    Choice,
    compile_plan,
    load_trained,
)
from pvnet.cli._common.progress import Progress
from pvnet.cli._common.report import Report
from pvnet.cli._common.sources import open_source, troubles
from pvnet.cli._demo.clock import Moment, moments
from pvnet.cli._demo.files import write_pictures
from pvnet.cli._demo.lanes import (
    OperationTimes,
    measure_operations,
    meetings,
    schedule_of,
)
from pvnet.cli._demo.picture import ComparePicture, fitted
from pvnet.cli._demo.side import Side
from pvnet.errors import FileError
from pvnet.files import write_json
from pvnet.models.random_weights import random_weights
from pvnet.report import plain, table
from pvnet.runtime import Plan, measure_costs
from pvnet.runtime.machine import cpus_allowed
from pvnet.video import Frame

Compiler = Callable[[int], Plan]  # by the number of lanes

_PLAYED_HZ = 50.0  # pictures per second of the file at most; more is slow motion
# Room in the time between frames over the median tick. A high percentile would let other programs
# on the machine set the rate; a tick that they stretch costs frames instead, and that is shown.
_ROOM = 1.05
_TITLES = ("sequential, as fast as it can", "depth-parallel, online")
_STAGES = 14  # of the network that takes its time
_MORE_LANES = (4, 8, 16)
_OPENING_FRAMES = 40
_TIE = 0.05  # of the length of a tick


def run(args: argparse.Namespace) -> Report:
    """Measure both, put them on one clock, write what was on show when."""
    choices = _choices(args)
    compilers = [_compiler(args, choice) for choice in choices]
    sides = _sides(args, choices, compilers)
    frames, found = _frames(args, sides[0].plan)
    times = measure_operations(
        [compiled(1) for compiled in compilers], [frame.image for frame in frames]
    )
    for side, its_times in zip(sides, times):
        side.simulate(its_times)
    measured = [side.measure(frames) for side in sides]
    rate_hz = args.fps or 1e3 / (_ROOM * min(float(np.median(ms)) for ms in measured))
    with Progress("compare", total=len(sides), quiet=args.quiet) as bar:
        for side in sides:
            side.run(frames, rate_hz)
            bar.step()
    shown = moments(len(frames), rate_hz, args.moments)
    both = [m for m in shown if all(side.shown(m) is not None for side in sides)]
    played_hz = min(rate_hz * args.moments, _PLAYED_HZ)
    document: dict[str, Any] = {
        "source": args.compare or "synthetic",
        "frames": len(frames),
        **found,
        "rate_hz": rate_hz,
        "cut": sides[-1].choice.cut.document(),
        "rate_is": "given" if args.fps else "what the faster side can keep",
        "slowdown": args.slowdown,
        "moments_per_frame": args.moments,
        "scored_moments": len(both),
        "slow_motion": rate_hz * args.moments / played_hz,
        "sides": [side.facts(frames, both, rate_hz) for side in sides],
        "more_lanes": [] if args.slowdown != 1 else _more_lanes(args, compilers, times),
        "files": {},
    }
    if not args.no_files:
        picture = ComparePicture(frames, sides, rate_hz, _footer(document))
        document["files"] = _write(args, picture, shown, played_hz)
        write_json(args.out / "compare.json", plain(document), where="demo")
    return Report(document, _text(document))


def _sides(
    args: argparse.Namespace, choices: Sequence[Choice], compilers: Sequence[Compiler]
) -> list[Side]:
    """Both on all lanes, or on one that stands for more."""
    simulated = args.lanes_simulated
    sides = []
    for title, choice, compiled in zip(_TITLES, choices, compilers):
        schedule = None if simulated is None else schedule_of(compiled(simulated))
        plan = compiled(_lanes(args) if simulated is None else 1)
        sides.append(Side(title, choice, plan, args.slowdown, simulated, schedule))
    return sides


def _more_lanes(
    args: argparse.Namespace, compilers: Sequence[Compiler], times: Sequence[OperationTimes]
) -> list[dict[str, Any]]:
    """What more lanes would give, and those of this machine by the same calculation."""
    rows = []
    for n in sorted({*_MORE_LANES, _lanes(args), *filter(None, [args.lanes_simulated])}):
        schedules = [schedule_of(compiled(n)) for compiled in compilers]
        ms = [float(t.tick_ms(s).mean()) for t, s in zip(times, schedules)]
        met = [meetings(s) for s in schedules]
        rows.append({"lanes": n, "simulated": True, "tick_ms": ms, "meetings": met})
    return rows


def _lanes(args: argparse.Namespace) -> int:
    return args.lanes or cpus_allowed()


def _compiler(args: argparse.Namespace, choice: Choice) -> Compiler:
    """Compiles a network for a number of lanes, which are levelled by times measured here."""

    def compiled(lanes: int, costs: dict[str, float] | None = None) -> Plan:
        told = argparse.Namespace(backend=args.backend, lanes=lanes)
        return compile_plan(choice, told, costs=costs)

    alone = compiled(1)
    costs = measure_costs(alone) if alone.backend == "cpu" else None
    return lambda lanes: compiled(lanes, costs)


def _choices(args: argparse.Namespace) -> tuple[Choice, Choice]:
    """Sequential and predictive: shipped weights, or a network that takes tens of ms a frame.

    Without a word of the user the built-in video gets the latter. Its weights are random: it is
    there for its time. Other videos get weights that know people.
    """
    name = args.model
    if name is None and args.compare in (None, "synthetic"):
        return _heavy("sequential", args), _heavy("predictive", args)
    name = name or JOINTS_OF_PEOPLE
    sequential = load_trained(name, "sequential", None)
    return sequential, load_trained(name, "predictive", args.stages)


def _heavy(wiring: Literal["sequential", "predictive"], args: argparse.Namespace) -> Choice:
    options = {"size": args.size}
    graph = models.build("par_densenet", stages=args.stages or _STAGES, wiring=wiring, **options)
    metadata = models.model_metadata("par_densenet", "joints", options)
    weights = random_weights(graph, seed=0)
    label = f"par_densenet, {args.size} x {args.size}"
    return Choice(graph, weights, metadata, label, random=True)


def _frames(args: argparse.Namespace, plan: Plan) -> tuple[list[Frame], dict[str, int]]:
    """The first frames of the source, with originals no larger than drawn; what went wrong."""
    name = args.compare or "synthetic"
    if name == "synthetic":
        name = f"synthetic:seed={args.seed}"
    frames: list[Frame] = []
    with open_source(name, plan, fit=args.fit, damaged=args.damaged) as source:
        for frame in source:
            if frame.original is not None:
                frame = replace(frame, original=fitted(frame.original))
            frames.append(frame)
            if len(frames) == (args.frames if args.compare else min(args.frames, _OPENING_FRAMES)):
                break
    if not frames:
        raise FileError(
            f"[demo] nothing could be read from {name!r}: got 0 frames, expected at least "
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
        words.append("SIMULATED lanes: measured operations by the schedule of so many lanes")
    if any(side["model_random"] for side in d["sides"]):
        words.append("joints are the true ones of the frame that a result has heard of")
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
        *_more_text(d),
    ]
    lines += [f"wrote {path}" for path in d["files"].values()]
    return "\n".join(lines)


def _verdict(gain: float) -> str:
    if gain >= 1 + _TIE:
        return "depth-parallel makes more ticks"
    return "sequential makes more ticks" if gain <= 1 - _TIE else "the two tie"


def _more_text(d: dict[str, Any]) -> list[str]:
    """What more lanes would give, beside what was measured."""
    left, right = d["sides"]
    lines = []
    if any(side["model_random"] for side in d["sides"]):
        lines.append(
            "random weights: drawn and scored are the true joints of the newest frame that a "
            "result has heard of, so that only its age is wrong"
        )
    if not d["more_lanes"]:
        return lines
    measured = [side["computational_latency_p50_ms"] for side in (left, right)]
    rows: list[tuple[object, ...]] = []
    if not left["lanes_simulated"]:
        gain = measured[0] / measured[1]
        lines.append(f"on these lanes {_verdict(gain)}: depth-parallel is {gain:.2f} times as fast")
        rows.append((f"{left['lanes']}, measured here", *measured, f"{gain:.2f}x", "", ""))
    for row in d["more_lanes"]:
        gain = row["tick_ms"][0] / row["tick_ms"][1]
        cells = (*row["tick_ms"], f"{gain:.2f}x", *row["meetings"])
        rows.append((f"{row['lanes']}, simulated", *cells))
    header = ("lanes", "sequential, ms", "depth-parallel, ms", "gain", "meetings, seq.", "d.-p.")
    return [
        *lines,
        "",
        table(header, rows),
        "simulated: operations timed on one lane, by the schedule for so many;",
        "meetings of the lanes in a tick (sequential, depth-parallel) cost more on top",
    ]
