"""Versions, backends, instruction sets, machine; or what a model file holds."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from pvnet.cli._common.network_choice import load_model
from pvnet.cli._common.report import Report, UsageError
from pvnet.report import table
from pvnet.runtime.machine import machine_record
from pvnet.runtime.tuning.cache import FOLDER_VARIABLE, Cache
from pvnet.runtime.tuning.result import is_lanes, is_layers

if TYPE_CHECKING:
    from pvnet.models import Pretrained

# The card has the rest.
_SCORES = 3
_LONG = ("ranges", "without_ranges", "metadata")  # of a model: --json has them whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to tell of."""
    parser.add_argument(
        "model", nargs="?", metavar="PATH|NAME", help="tell of this model file, or shipped one"
    )
    parser.add_argument(
        "--tuning", action="store_true", help="what --tune has measured on this machine, instead"
    )


def run(args: argparse.Namespace) -> Report:
    """Collect the facts; optional packages are looked up, not imported."""
    if args.tuning and args.model:
        raise UsageError("--tuning tells of this machine: leave the model out")
    if args.tuning:
        return _tuning()
    if args.model:
        return _model(args.model)
    from pvnet import models

    document = machine_record() | {"trained": {o.name: _weights(o) for o in models.shipped()}}
    text = "\n".join(_lines(document, indent=0))
    text += "\nbackends in brackets are not available here; --json says why"
    return Report(document, "\n".join([text, *_without_cuda(document["backends"])]))


def _model(name: str) -> Report:
    """What a file says of itself, in the order of the command line's words for it."""
    model = load_model(name)
    graph, ranges = model.graph, model.ranges
    without = [node.name for node in graph.nodes if node.name not in ranges]
    document = {
        "model": name,
        "wiring": graph.wiring,
        "stages": graph.n_stages,
        "nodes": len(graph.nodes),
        "parameters": sum(int(array.size) for array in model.weights.values()),
        "inputs": {n.name: list(n.shape) for n in graph.nodes if n.op == "input"},
        "outputs": {o.name: list(graph.node(o.node).shape) for o in graph.outputs},
        "ranges": ranges,
        "without_ranges": without if ranges else [],
        "metadata": model.metadata,
    }
    told = {key: value for key, value in document.items() if key not in _LONG}
    told["ranges"] = "none (no int8)"
    if ranges:
        told["ranges"] = f"of {len(ranges)} of {len(graph.nodes)} nodes (int8)"
    if ranges and without:
        told["stay f32"] = ", ".join(without)
    told["metadata"] = ", ".join(sorted(model.metadata)) or "none"
    return Report(document, "\n".join(_lines(told, indent=0)))


def _tuning() -> Report:
    cache = Cache()
    entries = cache.entries()
    document = {"file": str(cache.path), "folder_variable": FOLDER_VARIABLE, "entries": entries}
    rows = [(key[:8], *_tuned(entry)) for key, entry in entries.items()]
    text = f"{cache.path}: {len(entries)} entries; {FOLDER_VARIABLE} names another folder"
    if rows:
        text += "\n" + table(("entry", "network", "machine", "effort", "found"), rows)
    return Report(document, text)


def _tuned(entry: Any) -> tuple[str, str, str, str]:
    facts = entry if isinstance(entry, dict) else {}
    if is_layers(entry):
        counts = Counter(entry["algorithms"].values())
        found = ", ".join(f"{n} x {name}" for name, n in sorted(counts.items())) or "no choice"
        found += f"; {entry['auto_us'] / 1e3:.2f} -> {entry['tuned_us'] / 1e3:.2f} ms a tick"
    elif is_lanes(entry):
        found = f"lanes: {entry['lanes']}, levelled by costs: {entry['levelled_by']}"
    else:
        found = "damaged: measured anew when it is needed"
    told = [str(facts.get(key, "?")) for key in ("network", "machine", "effort")]
    return (told[0], told[1], told[2], found)


def _without_cuda(backends: list[dict[str, Any]]) -> list[str]:
    """Why there is no device: of all backends the one that a user can do something about."""
    missing = [b["why"] for b in backends if b["name"] == "cuda" and not b["available"]]
    return [f"no cuda: {why}" for why in missing]


def _weights(one: Pretrained) -> str:
    scores = [f"{name} {score:g}" for name, score in one.accuracy.items()][:_SCORES]
    return ", ".join(
        [one.task, one.wiring, f"{one.stages} stages", f"trained on {one.trained_on}", *scores]
    )


def _backend(part: dict[str, Any]) -> str:
    name = " ".join(word for word in (part["name"], part["isa"]) if word)
    return name if part["available"] else f"({name})"


def _lines(value: dict[str, Any], *, indent: int) -> list[str]:
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines.append(" " * indent + f"{key}:")
            lines += _lines(item, indent=indent + 2)
        else:
            if key == "backends":
                item = ", ".join(_backend(part) for part in item)
            lines.append(" " * indent + f"{key}: {'-' if item is None else item}")
    return lines
