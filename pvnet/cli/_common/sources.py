"""Frames for a network: seeded noise for measuring, and the videos people name."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np

from pvnet import video
from pvnet.cli._common.files import without_scheme
from pvnet.cli._common.old_options import tell_renamed
from pvnet.cli._common.parse import fraction
from pvnet.cli._common.progress import note
from pvnet.errors import UnsupportedError
from pvnet.runtime import Plan
from pvnet.video import (
    DAMAGED,
    POLICIES,
    Damaged,
    Fit,
    Policy,
    Reconnect,
    Source,
    SourceStats,
    default_policy,
)
from pvnet.video.reader import Kept


def probe_frames(plan: Plan, *, n: int, seed: int = 0) -> list[Any]:
    """Seeded noise that fits the plan's inputs: uint8 images where an input has 3 channels.

    Returns:
        n frames as Stream.tick takes them; dicts by name where there are several inputs.
    """
    rng = np.random.default_rng(seed)

    def one(shape: tuple[int, int, int]) -> Any:
        c, h, w = shape
        if c == 3:
            return rng.integers(0, 256, (h, w, c), dtype=np.uint8)
        return rng.standard_normal((c, h, w)).astype(np.float32)

    if len(plan.inputs) == 1:
        shape = next(iter(plan.inputs.values()))
        return [one(shape) for _ in range(n)]
    return [{name: one(shape) for name, shape in plan.inputs.items()} for _ in range(n)]


def frame_size(plan: Plan) -> tuple[int, int]:
    """(height, width) in pixels of the one image input of a plan.

    Raises:
        UnsupportedError: if the network has several inputs, or one that is no RGB image.
    """
    shapes = list(plan.inputs.values())
    if len(shapes) != 1 or shapes[0][0] != 3:
        raise UnsupportedError(
            f"[cli] this network does not read one RGB video: got inputs {plan.inputs}, expected "
            "one input with 3 channels. Run it from Python with pvnet.compile."
        )
    return shapes[0][1], shapes[0][2]


def may_stall(name: str) -> bool:
    """Whether a source may give nothing for a long time: cameras, addresses, pipes."""
    path = Path(without_scheme(name))
    return not (path.is_file() or path.is_dir() or name.partition(":")[0] == "synthetic")


def add_source_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Arguments of commands that read a source that may be live."""
    group = parser.add_argument_group("video")
    group.add_argument(
        "--policy",
        choices=POLICIES,
        help="frames that come faster than ticks (default: latest for cameras, live URLs and "
        "pipes, block, which loses none, for all others)",
    )
    group.add_argument("--realtime", action="store_true", help="play a file at its own pace")
    group.add_argument(
        "--fit",
        choices=("stretch", "letterbox"),
        help="default: as the model was trained, else stretch",
    )
    add_damaged_argument(group)
    group.add_argument(
        "--timeout",
        type=fraction,
        metavar="SECONDS",
        help="how long a camera or URL may take to open, and for a picture (default 10)",
    )
    group.add_argument(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        help="connect again when a live source is lost (default: yes for cameras and live URLs)",
    )
    group.add_argument(
        "--reconnect-for",
        type=fraction,
        metavar="SECONDS",
        help="give a lost source up after this time (default 300)",
    )
    group.add_argument(
        "--on-gap",
        choices=("keep", "reset"),
        default="keep",
        help="the network's state where a lost source comes back (default keep)",
    )
    return group


class _Notes(logging.Handler):
    """What the library logs about a source that is lost or back, for people."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"pvnet: {record.getMessage()}")


def source_options(args: argparse.Namespace) -> dict[str, Any]:
    """What `open_source` takes of the arguments of `add_source_arguments`."""
    log = logging.getLogger("pvnet.video")
    log.setLevel(logging.ERROR if args.quiet else logging.WARNING)
    if not any(isinstance(handler, _Notes) for handler in log.handlers):
        log.addHandler(_Notes())
    reconnect: bool | Reconnect | None = args.reconnect
    if args.reconnect_for is not None and reconnect is not False:
        reconnect = Reconnect(give_up_s=args.reconnect_for)
    return {
        "fit": args.fit,
        "timeout_s": args.timeout,
        "reconnect": reconnect,
        "damaged": args.damaged,
    }


def chosen_policy(args: argparse.Namespace, source: Source) -> Policy:
    """The policy that was asked for, or the source's own."""
    return args.policy or default_policy(source)


def source_facts(args: argparse.Namespace, source: Source, lost: str | None) -> dict[str, Any]:
    """What the JSON of a run says about its source; what ended early is also said on stderr.

    Args:
        args: of `add_source_arguments`.
        source: after the run.
        lost: why a live source was given up, None if it was not.
    """
    stats = source.stats
    for words in (lost, stats.truncated and f"the video ends early: {stats.truncated}"):
        if words and not args.quiet:
            note(f"pvnet {args.command}: {words}")
    return {
        "live": source.info.live,
        "policy": chosen_policy(args, source),
        "policy_is": "given" if args.policy else "default",
        **troubles(stats),
        "damaged": args.damaged,
        "on_gap": args.on_gap,
        "reconnects": stats.reconnects,
        "gap_s": stats.gap_s,
        "gap_frames": stats.gap_frames,
        "lost": lost,
        "truncated": stats.truncated,
    }


def source_rows(d: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines of the table about what `source_facts` found wrong."""
    rows = trouble_rows(d, d["damaged"])
    if d["reconnects"]:
        gone = f"{d['gap_s']:.1f} s, some {d['gap_frames']} frames"
        rows.append(("reconnects", f"{d['reconnects']}, {gone} lost (state: {d['on_gap']})"))
    if d["lost"]:
        rows.append(("lost", d["lost"]))
    if d["truncated"]:
        rows.append(("cut off", f"the video ends early: {d['truncated']}"))
    return rows


def open_source(
    name: str,
    plan: Plan,
    *,
    fit: Fit = "stretch",
    timeout_s: float | None = None,
    reconnect: bool | Reconnect | None = None,
    damaged: Damaged = "deliver",
    keep_original: Kept = True,
) -> Source:
    """The source a command line names, resized to what the plan reads.

    Args:
        name: a file, a directory of frames, a camera number, an address, `-` for the standard
            input, or `synthetic` with or without options (`synthetic:seed=3,frames=100`).
        plan: compiled network with one image input.
        fit: `stretch` or `letterbox`.
        timeout_s: as of `video.open`.
        reconnect: as of `video.open`.
        damaged: `deliver` pictures that show damage, or `drop` them.
        keep_original: keep each picture before resizing, to draw on it; "planes": as decoded.

    Raises:
        FileError: if there is no such video, or it is none.
        UnsupportedError: if the network or this installation cannot take it.
    """
    camera = name.isdigit() and not Path(name).exists()
    return video.open(
        int(name) if camera else name,
        size=frame_size(plan),
        fit=fit,
        keep_original=keep_original,
        timeout_s=timeout_s,
        reconnect=reconnect,
        damaged=damaged,
    )


def add_damaged_argument(parser: Any) -> None:
    """`--damaged`, of a parser or a group."""
    parser.add_argument(
        "--damaged",
        type=_damaged,
        choices=DAMAGED,
        default="deliver",
        help="pictures that show damage, up to the next key frame (default deliver)",
    )


def _damaged(text: str) -> str:
    if text != "skip":
        return text
    tell_renamed("--damaged skip", "--damaged drop")
    return "drop"


def troubles(stats: SourceStats) -> dict[str, int]:
    """What went wrong while reading a video, as JSON documents have it."""
    return {
        "corrupt_frames": stats.corrupt,
        "damaged_frames": stats.damaged,
        "time_jumps": stats.time_jumps,
        "time_repairs": stats.time_repairs,
    }


def trouble_rows(document: dict[str, Any], damaged: Damaged) -> list[tuple[str, str]]:
    """Rows of a table for what `troubles` found."""
    done = "marked" if damaged == "deliver" else "left out"
    words = {
        "corrupt_frames": ("corrupt", "frames left out"),
        "damaged_frames": ("damaged", f"frames {done}"),
        "time_jumps": ("time stamps", "jumps"),
        "time_repairs": ("time stamps", "replaced"),
    }
    found = ((document[key], *told) for key, told in words.items())
    return [(name, f"{n} {what}") for n, name, what in found if n]
