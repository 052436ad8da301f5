"""Find the ranges of a network's values on videos, and store them in a model file for int8."""

from __future__ import annotations

import argparse

from pvnet import runtime
from pvnet.cli._common.network_choice import add_network_arguments, choose
from pvnet.cli._common.parse import new_model, positive
from pvnet.cli._common.progress import Progress
from pvnet.cli._common.report import Report
from pvnet.runtime.calibration.methods import METHOD, METHODS, PERCENTILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet calibrate`."""
    add_network_arguments(parser, default=None, positional=True, weights="trained")
    parser.add_argument(
        "videos",
        nargs="+",
        metavar="VIDEOS",
        help="files, folders of them, or synthetic:...: like what the network will see",
    )
    parser.add_argument("--out", type=new_model, required=True, help="model file (.safetensors)")
    group = parser.add_argument_group("calibration")
    group.add_argument(
        "--method",
        choices=METHODS,
        default=METHOD,
        help="all values, all but the outermost, or the range of least squared error "
        "(default %(default)s)",
    )
    group.add_argument(
        "--percentile",
        type=float,
        default=PERCENTILE,
        metavar="P",
        help="of --method percentile (default %(default)s)",
    )
    group.add_argument(
        "--leave-out",
        nargs="+",
        default=[],
        metavar="NODE",
        help="nodes that stay f32, and what reads them",
    )
    group.add_argument(
        "--max-frames", type=positive, metavar="N", help="of a video (default: all of it)"
    )


def run(args: argparse.Namespace) -> Report:
    """Calibrate, save, and say on what."""
    from pvnet.data.footage import find_videos

    choice = choose(args)
    videos = find_videos(args.videos)
    frames = 0
    with Progress("calibrate", quiet=args.quiet) as bar:

        def count() -> None:
            nonlocal frames
            frames += 1
            bar.step()

        ranges = runtime.calibrate(
            choice.model,
            videos,
            method=args.method,
            percentile=args.percentile,
            leave_out=args.leave_out,
            max_frames=args.max_frames,
            fit=choice.fit,
            on_frame=count,
        )
    runtime.save(choice.model, args.out, ranges=ranges)
    nodes = len(choice.graph.nodes)
    document = {
        "out": str(args.out),
        "model": choice.label,
        "wiring": choice.graph.wiring,
        "stages": len(choice.graph.stages),
        "method": args.method,
        "percentile": args.percentile if args.method == "percentile" else None,
        "videos": videos,
        "frames": frames,
        "nodes": nodes,
        "ranges": ranges,
        "left_out": args.leave_out,
    }
    text = (
        f"wrote {args.out}: ranges of {len(ranges)} of {nodes} nodes, by {frames} frames of "
        f"{len(videos)} video(s); run it with --dtype int8"
    )
    return Report(document, text)
