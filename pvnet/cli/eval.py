"""Score a model on held-out clips, tick by tick through the runtime, at emission time."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from pvnet.cli.network import WIRINGS, find_model, rewire
from pvnet.cli.parse import natural, positive
from pvnet.cli.progress import Progress
from pvnet.cli.report import Report, UsageError, table

_SHOWN = (
    *("pck@0.2_box", "pck@0.1_box", "pck@0.2_torso", "pck@0.1_torso", "mean_error_px"),
    *("jitter_px", "truth_jitter_px", "top1", "top5", "tick_top1"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet eval`."""
    parser.add_argument("--model", required=True, metavar="PATH|NAME", help="file or built-in one")
    parser.add_argument("--data", required=True, metavar="SPEC", help="e.g. jhmdb:FOLDER")
    parser.add_argument("--task", choices=("joints", "actions"), help="default: the model's")
    parser.add_argument("--split", type=positive, default=1, help="of the data (default 1)")
    parser.add_argument("--crop", choices=("none", "center", "person"), default="none")
    parser.add_argument("--on-train", action="store_true", help="the clips for training instead")
    parser.add_argument("--fps", type=positive, help="frames per second (default: as they are)")
    parser.add_argument("--max-clips", type=positive, metavar="N", help="only the first N")
    parser.add_argument("--wiring", choices=WIRINGS, help="default: as it is")
    parser.add_argument("--stages", type=positive, metavar="K", help="default: as it is")
    parser.add_argument("--prediction-latency", type=natural, default=0, metavar="TICKS")
    parser.add_argument("--first-tick", type=natural, default=0, help="first tick that may count")
    parser.add_argument(
        "--skip-frames",
        action="store_true",
        help="sequential, at the rate one lane as fast as the slowest stage can keep",
    )
    parser.add_argument("--backend", choices=("auto", "ref", "cpu", "cuda"), default="auto")
    parser.add_argument("--lanes", type=positive, metavar="N", help="CPU lanes (default: all CPUs)")


def run(args: argparse.Namespace) -> Report:
    """Load, wire, run every clip, score."""
    from pvnet import data, runtime
    from pvnet.train.evaluation import Protocol, evaluate, skipping

    path = find_model(args.model)
    model = runtime.load(path)
    task: Any = args.task or model.metadata.get("task")
    if task not in ("joints", "actions"):
        raise UsageError("--task: the model file does not say what its outputs mean")
    graph = rewire(model.graph, args.wiring, args.stages)
    protocol = Protocol()
    if args.skip_frames:
        protocol = skipping(graph)
        graph = graph.wire("sequential", graph.stage_lists)
    protocol = replace(
        protocol, prediction_latency=args.prediction_latency, first_tick=args.first_tick
    )
    height, width = graph.nodes[0].shape[1:]
    dataset = data.open_dataset(
        args.data,
        split=args.split,
        train=args.on_train,
        size=(height, width),
        frames=None,
        fps=args.fps,
        task=task,
        crop=args.crop,
    )
    total = min(len(dataset), args.max_clips or len(dataset))
    with Progress("eval", total=total, quiet=args.quiet) as bar:
        result = evaluate(
            runtime.Model(graph, model.weights, model.metadata),
            dataset,
            task=task,
            protocol=protocol,
            max_clips=args.max_clips,
            lanes=args.lanes,
            backend=args.backend,
            on_clip=bar.step,
        )
    result |= {"model": str(path), "data": args.data, "split": args.split, "crop": args.crop}
    result["part"] = "train" if args.on_train else "test"
    rows = [
        [name, *(f"{v:.4f}" for v in (result[name], *result[f"{name}_interval"]))]
        for name in _SHOWN
        if result.get(name) is not None
    ]
    head = (
        f"{path.name} on {args.data}, split {args.split}: {result['clips']} clips, "
        f"{result['scored_ticks']} ticks scored at emission time; {result['stages']} stages "
        f"{result['wiring']}"
    )
    return Report(result, head + "\n" + table(["metric", "value", "low", "high"], rows))
