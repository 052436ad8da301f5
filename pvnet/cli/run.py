"""Run a network on a video file, a directory of frames, a camera, an address or `synthetic`."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.cli.network import (
    Choice,
    add_compile_arguments,
    add_network_arguments,
    choose,
    compile_plan,
)
from pvnet.cli.overlay import Overlay
from pvnet.cli.parse import new_file, positive
from pvnet.cli.progress import Progress, note
from pvnet.cli.report import Report, table
from pvnet.cli.sources import open_source
from pvnet.cli.stats import RunStats, age_text
from pvnet.errors import FileError
from pvnet.runtime import Plan
from pvnet.video import POLICIES, Source, VideoWriter
from pvnet.viz.layout import resize_nearest

_DEFAULT_FPS = 25.0
# A synthetic video has no end; a run of it has one.
_SYNTHETIC_FRAMES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet run`."""
    parser.add_argument("source", metavar="VIDEO|CAMERA|synthetic", help="what to run on")
    add_network_arguments(parser, weights="trained")
    add_compile_arguments(parser)
    group = parser.add_argument_group("video")
    group.add_argument(
        "--policy",
        choices=POLICIES,
        default="block",
        help="frames that come faster than ticks (default block: none is lost)",
    )
    group.add_argument("--realtime", action="store_true", help="play a file at its own pace")
    group.add_argument("--fit", choices=("stretch", "letterbox"), default="stretch")
    group.add_argument("--max-frames", type=positive, metavar="N", help="stop after N frames")
    group.add_argument("--out", type=new_file, metavar="FILE.mp4", help="annotated video")


def run(args: argparse.Namespace) -> Report:
    """Tick over the source, draw and write if asked, sum up."""
    choice = choose(args)
    plan = compile_plan(choice, args)
    if choice.random and not args.quiet:
        note(f"{args.model}: random weights, its output means nothing; see --weights")
    overlay = Overlay(plan, choice)
    stats = RunStats()
    with open_source(args.source, plan, fit=args.fit) as source:
        try:
            last_index = _loop(args, source, plan, overlay, stats)
        except KeyboardInterrupt:  # a camera has no other end; what was seen still counts
            last_index = -1 if stats.last is None else stats.last.frame.index
        problems = source.stats
    if stats.last is None:
        raise FileError(
            f"[run] nothing could be read from {args.source!r}: got 0 frames, expected at least 1. "
            "Check the video."
        )
    document = {
        "source": args.source,
        "model": choice.label,
        "random_weights": choice.random,
        "weights": choice.weights_words,
        "cut": choice.cut.document(),
        "backend": plan.backend,
        "isa": plan.isa,
        "lanes": plan.lanes,
        "policy": args.policy,
        "frames": len(stats.latencies_ms),
        "dropped_frames": last_index + 1 - len(stats.latencies_ms),
        "corrupt_frames": problems.corrupt,
        **stats.summary(plan.graph),
        "last_output": overlay.words(stats.last),
        "out": None if args.out is None else str(args.out),
    }
    return Report(document, _text(choice, document))


def _loop(
    args: argparse.Namespace, source: Source, plan: Plan, overlay: Overlay, stats: RunStats
) -> int:
    """Tick to the end of the source or the wanted number of frames; the last frame's index."""
    limit = args.max_frames
    if limit is None and args.source.startswith("synthetic") and source.info.n_frames is None:
        limit = _SYNTHETIC_FRAMES
    known = [n for n in (limit, source.info.n_frames) if n is not None]
    last_index = -1
    with (
        Progress("run", total=min(known, default=None), quiet=args.quiet) as bar,
        _Annotated(args.out, source.info.fps or _DEFAULT_FPS) as annotated,
    ):
        # With `block` nothing beyond the last wanted frame is read.
        frames = itertools.islice(source, limit) if args.policy == "block" else source
        for tick in plan.stream().run(frames, policy=args.policy, realtime=args.realtime):
            stats.add(tick)
            last_index = tick.frame.index
            if args.out is not None:
                annotated.write(overlay.draw(tick.frame, tick))
            bar.step()
            if limit is not None and len(stats.latencies_ms) >= limit:
                break
    return last_index


class _Annotated:
    """The annotated video; opened with the first picture, whose size it keeps."""

    def __init__(self, path: Path | None, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._writer: VideoWriter | None = None
        self._size = (0, 0)

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a picture; one of another size is fitted."""
        assert self._path is not None
        if self._writer is None:
            self._size = (image.shape[0], image.shape[1])
            self._writer = VideoWriter(self._path, self._fps, size=self._size)
        if image.shape[:2] != self._size:
            image = resize_nearest(image, *self._size)
        self._writer.write(image)

    def __enter__(self) -> _Annotated:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writer is not None:
            self._writer.close()


def _text(choice: Choice, d: dict[str, Any]) -> str:
    rows = [
        ("model", f"{choice.label}, {d['stages']} stage(s), {d['wiring']}"),
        ("weights", d["weights"]),
        ("backend", f"{d['backend']} {d['isa']}, {d['lanes']} lane(s)"),
        ("frames", f"{d['frames']}, {d['dropped_frames']} dropped ({d['policy']})"),
        ("throughput", f"{d['throughput_ticks_per_s']:.1f} ticks/s"),
        ("ticks alone", f"{d['tick_rate_ticks_per_s']:.1f} ticks/s"),
        (
            "computational latency",
            f"p50 {d['computational_latency_p50_ms']:.2f} ms, "
            f"p99 {d['computational_latency_p99_ms']:.2f} ms",
        ),
        ("information latency", f"{d['information_latency_ticks']} ticks"),
        ("age of the stages", f"{age_text(d['age_ticks'])} ticks"),
        ("warm-up", f"{d['warm_up_ticks']} ticks"),
        ("last output", d["last_output"]),
    ]
    if d["corrupt_frames"]:
        rows.append(("corrupt", f"{d['corrupt_frames']} frames skipped"))
    if d["out"]:
        rows.append(("wrote", d["out"]))
    return table(("what", "value"), rows)
