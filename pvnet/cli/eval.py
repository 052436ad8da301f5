"""Score a model on held-out clips, tick by tick through the runtime, at emission time."""

from __future__ import annotations

import argparse
import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from pvnet import models, runtime
from pvnet.cli._common.cut import Cut, add_cut_argument, cut_of
from pvnet.cli._common.network_choice import WIRINGS, load_model
from pvnet.cli._common.old_options import OldFlag
from pvnet.cli._common.parse import add_cluster_argument, natural, positive
from pvnet.cli._common.progress import Progress, left_out, note
from pvnet.cli._common.report import Report, UsageError
from pvnet.errors import InvalidArgumentError
from pvnet.report import table

_SHOWN = (
    *("pck@0.2_box", "pck@0.1_box", "pck@0.2_person", "pck@0.1_person"),
    *("pck@0.2_torso", "pck@0.1_torso", "mean_error_px"),
    *("jitter_px", "truth_jitter_px", "top1", "top5", "tick_top1"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet eval`."""
    parser.add_argument(
        "--model", metavar="PATH|NAME", help="file or shipped one (default: shipped, by --task)"
    )
    parser.add_argument("--data", required=True, metavar="SPEC", help="e.g. jhmdb:FOLDER")
    parser.add_argument("--task", choices=("joints", "actions"), help="default: the model's")
    parser.add_argument("--split", type=positive, default=1, help="of the data (default 1)")
    parser.add_argument(
        "--crop",
        choices=("none", "letterbox", "center", "person"),
        help="of the pictures (default: as the model was trained, else none)",
    )
    parser.add_argument("--on-train", action="store_true", help="the clips for training instead")
    parser.add_argument("--fps", type=positive, help="frames per second (default: as they are)")
    parser.add_argument("--frames", type=positive, metavar="T", help="of a clip (default: all)")
    parser.add_argument("--max-clips", type=positive, metavar="N", help="only the first N")
    parser.add_argument("--wiring", choices=WIRINGS, help="default: as it is")
    parser.add_argument("--stages", type=positive, metavar="K", help="default: as it is")
    add_cut_argument(parser)
    parser.add_argument("--prediction-latency", type=natural, default=0, metavar="TICKS")
    parser.add_argument("--first-tick", type=natural, default=0, help="first tick that may count")
    parser.add_argument(
        "--subsample",
        action="store_true",
        help="sequential, at the rate one lane as fast as the slowest stage can keep",
    )
    parser.add_argument(
        "--late",
        type=natural,
        default=0,
        metavar="TICKS",
        help="every answer comes so much later: exact ones by round-robin, say",
    )
    parser.add_argument("--skip-frames", action=OldFlag, dest="subsample")
    parser.add_argument("--backend", choices=("auto", "ref", "cpu", "cuda"), default="auto")
    parser.add_argument("--lanes", type=positive, metavar="N", help="CPU lanes (default: all CPUs)")
    add_cluster_argument(parser)
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="of the cluster (default: all its CPUs)"
    )


def _model(args: argparse.Namespace) -> tuple[str, runtime.Model]:
    """The model asked for, or the shipped weights of the task.

    Of those, the ones trained for the wiring where there are any, else the sequential ones: they
    can be scored in any wiring, and the result says what they were trained for.
    """
    if args.model is not None and args.model not in _families():
        model = load_model(args.model)
        return model.metadata.get("pretrained", str(args.model)), model
    if args.model is None and args.task is None:
        raise UsageError("--task or --model: say what is to be scored")
    family = args.model or _family(args.task, args.data)
    try:
        # Frame subsampling is for the sequential network, whatever wiring it is compared with.
        wiring = None if args.subsample else args.wiring
        model, _ = models.chosen(family, wiring, args.stages)
    except InvalidArgumentError:
        if args.wiring != "predictive":
            raise
        model, _ = models.chosen(family)
    return model.metadata["pretrained"], model


def _family(task: str, data: str) -> str:
    """The shipped family for a task: actions have names of their own in every data set."""
    name = {task: name for name, task in models.TASKS.items()}[task]
    own = f"{name}_{data.partition(':')[0].partition('?')[0]}"
    return own if own in _families() else name


def _families() -> set[str]:
    return {one.family for one in models.shipped()}


def run(args: argparse.Namespace) -> Report:
    """Load, wire, run every clip, score."""
    from pvnet import data
    from pvnet.cluster.work import Cluster
    from pvnet.evaluate.evaluation import Protocol, evaluate, frame_subsampling

    if args.workers and not args.cluster:
        raise UsageError("--workers: only with --cluster")
    name, model = _model(args)
    task: Any = args.task or model.metadata.get("task")
    if task not in ("joints", "actions"):
        raise UsageError("--task: the model file does not say what its outputs mean")
    # Frame subsampling is sequential, at the rate that the stages of the cut allow.
    wiring = "sequential" if args.subsample else args.wiring
    cut = cut_of(model, wiring, args.stages, args.cut)
    graph = cut.graph
    protocol = frame_subsampling(graph) if args.subsample else Protocol()
    _tell(args, cut, protocol.every)
    protocol = replace(
        protocol,
        prediction_latency=args.prediction_latency,
        first_tick=args.first_tick,
        late=protocol.late + args.late,
    )
    height, width = graph.nodes[0].shape[1:]
    own_crop = "letterbox" if model.metadata.get("fit") == "letterbox" else "none"
    crop = args.crop or own_crop
    open_clips = functools.partial(
        data.open_dataset,
        args.data,
        split=args.split,
        train=args.on_train,
        size=(height, width),
        frames=args.frames,
        fps=args.fps,
        task=task,
        crop=crop,
    )
    dataset = open_clips()
    if not args.quiet:
        left_out(dataset.describe(), "--json lists them")
    wired = graph is not model.graph
    total = min(len(dataset), args.max_clips or len(dataset))
    with Progress("eval", total=total, quiet=args.quiet) as bar:
        result = evaluate(
            # Workers of a cluster read a file themselves; shipped weights may lie elsewhere there.
            args.model if args.model and Path(args.model).is_file() else model,
            dataset,
            task=task,
            wiring=graph.wiring if wired else None,
            stages=graph.stage_lists if wired else None,
            protocol=protocol,
            max_clips=args.max_clips,
            lanes=args.lanes,
            backend=args.backend,
            cluster=Cluster(args.cluster, args.workers) if args.cluster else None,
            reopen=open_clips,
            on_clip=bar.step,
        )
    result |= {"model": name, "data": args.data, "split": args.split, "crop": crop}
    # A pipelined network has the sequential weights.
    own = model.graph.wiring
    result["trained_wiring"] = "sequential" if own == "pipelined" else own
    result["cut"] = cut.document()
    result["part"] = "train" if args.on_train else "test"
    rows = [
        [name, *(f"{v:.4f}" for v in (result[name], *result[f"{name}_interval"]))]
        for name in _SHOWN
        if result.get(name) is not None
    ]
    head = (
        f"{name.rpartition('/')[2]} on {args.data}, split {args.split}: {result['clips']} clips, "
        f"{result['scored_ticks']} ticks scored at emission time; {result['stages']} stages "
        f"{result['wiring']}"
    )
    if result["problems"]:
        head += f"\n{len(result['problems'])} clips cannot be read: {result['problems'][0]}"
    if args.cluster:
        head += _of_cluster(result["cluster"])
    return Report(result, head + "\n" + table(["metric", "value", "low", "high"], rows))


def _tell(args: argparse.Namespace, cut: Cut, every: int) -> None:
    if args.subsample and not args.quiet:
        note(
            f"eval: a frame in {every}, as the slowest of {cut.graph.n_stages} stages allows "
            f"({cut.words})."
        )
    else:
        cut.tell(args)


def _of_cluster(told: dict[str, Any]) -> str:
    lines = f"\n{told['workers']} workers"
    if told["lost_workers"]:
        lines += f", {told['lost_workers']} lost, {len(told['retried'])} clips done again"
    for index, why in told["failed"].items():
        lines += f"\n  clip {index} is not scored: {why}"
    return lines
