"""Write a model file: a network with random weights, or an existing one with other wiring."""

from __future__ import annotations

import argparse
import json

from pvnet import runtime
from pvnet.cli._common.network_choice import add_network_arguments, choose
from pvnet.cli._common.parse import new_json, new_model
from pvnet.cli._common.report import Report
from pvnet.files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet export`."""
    add_network_arguments(parser, default=None)
    parser.add_argument(
        "--out",
        type=new_model,
        required=True,
        help="model file (.safetensors)",
    )
    parser.add_argument(
        "--graph-json",
        type=new_json,
        metavar="FILE",
        help="also write the graph alone as JSON",
    )


def run(args: argparse.Namespace) -> Report:
    """Build or load, wire, save."""
    choice = choose(args)
    model = runtime.Model(choice.graph, choice.weights, choice.metadata)
    runtime.save(model, args.out)
    if args.graph_json is not None:
        graph = json.loads(choice.graph.to_json())
        write_json(args.graph_json, graph, where="export")
    parameters = sum(int(array.size) for array in choice.weights.values())
    document = {
        "out": str(args.out),
        "model": choice.label,
        "random_weights": choice.random,
        "wiring": choice.graph.wiring,
        "stages": len(choice.graph.stages),
        "cut": choice.cut.document(),
        "nodes": len(choice.graph.nodes),
        "parameters": parameters,
        "size_bytes": args.out.stat().st_size,
        "graph_json": None if args.graph_json is None else str(args.graph_json),
        "metadata": choice.metadata,
    }
    text = (
        f"wrote {args.out}: {choice.title}, {document['stages']} stages {choice.graph.wiring}, "
        f"{parameters / 1e6:.2f} million parameters, {document['size_bytes'] / 1e6:.1f} MB"
    )
    return Report(document, text)
