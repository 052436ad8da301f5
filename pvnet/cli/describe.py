"""What a network is: its stages, costs, delays, latencies, and the timeline of its first ticks."""

from __future__ import annotations

import argparse
import json
from typing import Any

from pvnet.cli._common.network_choice import Choice, add_network_arguments, choose
from pvnet.cli._common.parse import natural, new_picture, positive
from pvnet.cli._common.report import Report, UsageError
from pvnet.graph import Graph, draw, draw_heard
from pvnet.graph.heard import heard, ways
from pvnet.runtime import compile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet describe`; the model is positional here."""
    add_network_arguments(parser, positional=True)
    parser.add_argument(
        "--draw",
        type=new_picture,
        metavar="FILE",
        help="picture of the timeline, or of --heard (.png, .svg)",
    )
    parser.add_argument(
        "--heard",
        type=natural,
        metavar="TICK",
        help="which frames every stage has heard of after this tick, and how old they are",
    )
    parser.add_argument(
        "--of-stage", type=natural, metavar="S", help="with --heard: by which edges they come"
    )
    parser.add_argument(
        "--algorithms", action="store_true", help="how this CPU computes every convolution"
    )
    parser.add_argument("--ticks", type=positive, help="ticks of the timeline")


def run(args: argparse.Namespace) -> Report:
    """Print what the graph declares."""
    if args.of_stage is not None and args.heard is None:
        raise UsageError("--of-stage: only with --heard")
    choice = choose(args)
    graph = choice.graph
    document = {
        "model": choice.label,
        "random_weights": choice.random,
        "metadata": choice.metadata,
        "cut": choice.cut.document(),
        "graph": json.loads(graph.resolved_json()),
        "algorithms": _algorithms(choice) if args.algorithms else None,
        "draw": None if args.draw is None else str(args.draw),
        "heard": None if args.heard is None else _heard(graph, args.heard, args.of_stage),
    }
    if args.heard is None:
        shown = draw.timeline_text(graph, ticks=args.ticks)
    else:
        shown = draw_heard.heard_text(graph, args.heard, stage=args.of_stage)
    text = f"{choice.title}\n{graph.describe()}\n\n{shown}"
    if document["algorithms"] is not None:
        text += "\n\n" + _table(document["algorithms"])
    if args.draw is not None:
        if args.heard is None:
            draw.timeline(graph, args.draw, ticks=args.ticks)
        else:
            draw_heard.draw_heard(graph, args.draw, args.heard, stage=args.of_stage)
        text += f"\n\nwrote {args.draw}"
    return Report(document, text)


def _algorithms(choice: Choice) -> dict[str, str]:
    """By convolution: what `compile(algorithm="auto")` takes here."""
    plan = compile((choice.graph, choice.weights), backend="cpu", lanes=1)
    return {op["node"]: op["algorithm"] for op in plan.ops if "algorithm" in op}


def _table(algorithms: dict[str, str]) -> str:
    width = max(len(name) for name in algorithms) if algorithms else 0
    lines = [f"{name:{width}}  {algorithm}" for name, algorithm in algorithms.items()]
    return "\n".join(["algorithms of convolutions:", *lines])


def _heard(graph: Graph, tick: int, stage: int | None) -> dict[str, Any]:
    """Frames and ages of every stage, and the ways into one."""
    stages = [
        {"stage": s, "frames": list(one.frames), "ages_ticks": list(one.ages_ticks)}
        for s, one in enumerate(heard(graph, tick))
    ]
    reads = [
        {
            "source_stage": way.source,
            "delay_ticks": way.delay_ticks,
            "frames": list(way.heard.frames),
            "ages_ticks": list(way.heard.ages_ticks),
        }
        for way in ([] if stage is None else ways(graph, tick, stage))
    ]
    return {"tick": tick, "stages": stages, "of_stage": stage, "reads": reads}
