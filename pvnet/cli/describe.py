"""What a network is: its stages, costs, delays, latencies, and the timeline of its first ticks."""

from __future__ import annotations

import argparse
import json

from pvnet.cli._common.network_choice import add_network_arguments, choose
from pvnet.cli._common.parse import new_picture, positive
from pvnet.cli._common.report import Report
from pvnet.graph import draw


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet describe`; the model is positional here."""
    add_network_arguments(parser, positional=True)
    parser.add_argument(
        "--draw", type=new_picture, metavar="FILE", help="timeline picture (.png, .svg)"
    )
    parser.add_argument("--ticks", type=positive, help="ticks of the timeline")


def run(args: argparse.Namespace) -> Report:
    """Print what the graph declares."""
    choice = choose(args)
    graph = choice.graph
    document = {
        "model": choice.label,
        "random_weights": choice.random,
        "metadata": choice.metadata,
        "cut": choice.cut.document(),
        "graph": json.loads(graph.resolved_json()),
        "draw": None if args.draw is None else str(args.draw),
    }
    text = f"{choice.title}\n{graph.describe()}\n\n{draw.timeline_text(graph, ticks=args.ticks)}"
    if args.draw is not None:
        draw.timeline(graph, args.draw, ticks=args.ticks)
        text += f"\n\nwrote {args.draw}"
    return Report(document, text)
