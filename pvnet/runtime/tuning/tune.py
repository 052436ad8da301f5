"""Options of a network by measurement, or from the cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pvnet import _core
from pvnet.errors import InvalidArgumentError
from pvnet.runtime.installation import cpu_name
from pvnet.runtime.machine import cpus_allowed
from pvnet.runtime.model import Opened
from pvnet.runtime.plan_options import Options, make_plan
from pvnet.runtime.tuning.cache import Cache, Entry, digest
from pvnet.runtime.tuning.lanes import tune_lanes
from pvnet.runtime.tuning.layers import choices, tune_layers
from pvnet.runtime.tuning.result import Tuning, is_lanes, is_layers


def tuned(model: Opened, options: Options, effort: str) -> tuple[Options, Tuning | None]:
    """Options with what was measured for this network on this machine.

    Args:
        model: as it is to run.
        options: lanes, algorithms and costs that are given stay.
        effort: "fast" (algorithms of layers) or "full" (more rounds; lanes, too).

    Returns:
        The options, and None for a backend that measures for itself.
    """
    sequential = model._replace(graph=model.graph.wire("sequential", stages=1))
    # One row, so that any batch gets the same algorithms, and bits.
    alone = replace(options, lanes=1, batch=1, costs={})
    probe = make_plan(sequential, alone)
    if probe.backend != "cpu":
        if options.backend == "auto":
            return options, None
        raise InvalidArgumentError(
            f"[compile] nothing can be tuned there: got tune={effort!r} and backend="
            f"{options.backend!r}, expected backend 'cpu'. Leave tune out."
        )
    alone = replace(alone, backend="cpu", isa=probe.isa)
    cache = Cache()
    layers_key = digest(
        {"of": "layers", "graph": sequential.graph.to_json(), **_facts(alone, effort)}
    )
    possible = choices(probe, options)
    nodes = {op[key] for op in probe.ops for key in ("node", "sum") if key in op}
    del probe

    def good(entry: Any) -> bool:
        return is_layers(entry) and _fits(entry, possible) and entry["costs_us"].keys() == nodes

    layers = cache.get(layers_key, good)
    cached = layers is not None
    if layers is None:
        about = {**_about(model, alone), "effort": effort}
        layers = cache.put(layers_key, {**tune_layers(sequential, alone, effort), **about}, good)
    found = replace(
        options,
        backend="cpu",
        isa=alone.isa,
        algorithms={**options.algorithms, **layers["algorithms"]},
    )
    costs = options.costs or layers["costs_us"]
    levelled: Entry = {"lanes": options.lanes, "levelled_by": "measured"}
    if effort == "full":
        facts = {
            "of": "lanes",
            "cpus": cpus_allowed(),
            "graph": model.graph.to_json(),
            "layers": layers_key,
            "algorithms": layers["algorithms"],
            "lanes": options.lanes,
            "batch": options.batch,
            "costs": {node: float(us) for node, us in options.costs.items()},
        }
        lanes_key = digest(facts)
        known = cache.get(lanes_key, is_lanes)
        cached = cached and known is not None
        if known is None:
            about = {**_about(model, found), "effort": effort}
            known = cache.put(lanes_key, {**tune_lanes(model, found, costs), **about}, is_lanes)
        levelled = known
    found = replace(found, lanes=levelled["lanes"])
    if levelled["levelled_by"] == "measured":
        found = replace(found, costs=costs)
    told = {key: layers[key] for key in ("algorithms", "costs_us", "auto_us", "tuned_us")}
    return found, Tuning(
        effort, cached, **told, **{k: levelled[k] for k in ("lanes", "levelled_by")}
    )


def _facts(options: Options, effort: str) -> dict[str, Any]:
    """All that the times of layers depend on, besides the graph."""
    return {
        "pvnet": _core.__version__,
        "cpu": cpu_name(),
        "isa": options.isa,
        "dtype": options.dtype,
        "algorithm": options.algorithm,
        "algorithms": options.algorithms,
        "memory": options.memory,
        "effort": effort,
    }


def _about(model: Opened, options: Options) -> dict[str, Any]:
    """For people who read the file."""
    graph = model.graph
    return {
        "network": f"{len(graph.nodes)} nodes, {graph.wiring}, stages {graph.n_stages}",
        "machine": f"{cpu_name()}, {cpus_allowed()} CPUs, {options.isa}",
        "options": f"{options.dtype}, batch {options.batch}, {options.algorithm}, {options.memory}",
    }


def _fits(layers: Entry, possible: dict[str, list[str]]) -> bool:
    found: dict[str, str] = layers["algorithms"]
    free = {node for node, some in possible.items() if len(some) > 1}
    return found.keys() == free and all(found[node] in possible[node] for node in free)
